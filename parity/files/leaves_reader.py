"""Some leaves of a tree that Orbax saved, read to the host at little more than what it costs to copy them."""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
from jaxtyping import Shaped

MAPPED = {"file_io_mode": {"mode": "memmap"}}
"""How TensorStore reads files: their pages are used where they are. It would copy them into new memory first."""


class MappedReader(ocp.type_handlers.NumpyHandler):
    """Reads what Orbax's own handler does, out of mapped files into memory of NumPy's.

    NumPy asks for large pages, TensorStore does not: new memory in small ones takes as long as what is read into it.
    """

    def __init__(self):
        super().__init__()
        # one for all that is read: each looks up anew what lies where
        self.context = ts.Context({**ocp.type_handlers.get_ts_context().spec.to_json(), **MAPPED})

    async def deserialize(
        self, infos: Sequence[ocp.type_handlers.ParamInfo], args: Sequence[ocp.RestoreArgs] | None = None
    ) -> Sequence[np.ndarray]:
        del args  # what is stored is read as it is
        specs = [ocp.type_handlers.get_json_tspec_read(info, bool(info.is_ocdbt_checkpoint)) for info in infos]
        stores = await _all(ts.open(ts.Spec(spec), open=True, context=self.context) for spec in specs)
        arrays = [np.empty(store.shape, store.dtype.numpy_dtype) for store in stores]
        await _all(ts.array(array).write(store) for array, store in zip(arrays, stores, strict=True))
        return arrays


async def _all(awaitables: Iterable[Awaitable[Any]]) -> list[Any]:
    """What each gives, or the first error, after all are done: one that ends later would find the loop closed."""
    found = await asyncio.gather(*awaitables, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


class LeavesReader:
    """Of one tree. `metadata` has its structure, with what each leaf is: shape and dtype."""

    def __init__(self, folder: Path):
        """Raises what Orbax raises for a folder that it did not write."""
        self.folder = folder
        self.registry = ocp.type_handlers.create_type_handler_registry((np.ndarray, MappedReader()))
        with ocp.PyTreeCheckpointer() as checkpointer:
            metadata: Any = checkpointer.metadata(folder).item_metadata
        self.metadata = metadata.tree

    def read(self, places: Collection[int]) -> dict[int, Shaped[np.ndarray, "..."]]:
        """Leaves by their places in the tree, whole and to the host, however they were sharded."""
        leaves, structure = jax.tree.flatten(self.metadata)
        target = structure.unflatten(leaf if at in places else ocp.PLACEHOLDER for at, leaf in enumerate(leaves))
        how = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), self.metadata)
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=self.registry)) as checkpointer:
            restored = checkpointer.restore(self.folder, args=ocp.args.PyTreeRestore(item=target, restore_args=how))
        return {at: leaf for at, leaf in enumerate(jax.tree.leaves(restored)) if at in places}
