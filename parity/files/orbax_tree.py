"""Trees of NumPy arrays as items of an Orbax checkpoint: chosen leaves are read, whole trees are written."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Shaped

from parity.mapping.spec import Spec


class SavedTree:
    """A tree that Orbax saved. Leaves are numbered in the order in which JAX flattens the tree.

    Args:
        folder: the item's folder.

    Raises:
        Exception: whatever Orbax raises for a folder that it did not write.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        with ocp.PyTreeCheckpointer() as checkpointer:
            metadata: Any = checkpointer.metadata(folder).item_metadata
        self._metadata = metadata.tree
        leaves, self._structure = jax.tree.flatten(self._metadata)
        self.specs = [Spec.of(leaf) for leaf in leaves]

    @property
    def numbers(self) -> Any:
        """The tree with each leaf's number in its place."""
        return self._structure.unflatten(range(len(self.specs)))

    def read(self, numbers: Collection[int]) -> dict[int, Shaped[np.ndarray, "..."]]:
        """Read leaves into host memory, whole and exactly as saved, however they were sharded.

        Args:
            numbers: which leaves.

        Returns:
            Arrays by the leaves' numbers.
        """
        leaves = self._structure.flatten_up_to(self._metadata)
        selected = [leaf if number in numbers else ocp.PLACEHOLDER for number, leaf in enumerate(leaves)]
        how = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), self._metadata)
        with ocp.PyTreeCheckpointer() as checkpointer:
            options = ocp.args.PyTreeRestore(item=self._structure.unflatten(selected), restore_args=how)
            restored = checkpointer.restore(self.folder, args=options)
        return {number: leaf for number, leaf in enumerate(jax.tree.leaves(restored)) if number in numbers}


def save_tree(folder: Path, tree: Any) -> None:
    """Write a tree of NumPy arrays as an item of a checkpoint.

    Bytes are written uncompressed: compression makes weights 8% smaller and writing half as fast.

    Args:
        folder: the item's folder, which must not exist.
        tree: nested dicts of NumPy arrays.
    """
    # Orbax copies host arrays by default, in case they change while it writes in the background
    arrays = ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    registry = ocp.type_handlers.create_type_handler_registry((np.ndarray, arrays))
    handler = ocp.PyTreeCheckpointHandler(use_compression=False, type_handler_registry=registry)
    with ocp.Checkpointer(handler) as checkpointer:
        checkpointer.save(folder.absolute(), args=ocp.args.PyTreeSave(tree))


def save_json(folder: Path, tree: Any, filename: str = "metadata") -> None:
    """Write an object as a JSON item of a checkpoint.

    Args:
        folder: the item's folder, which must not exist.
        tree: the object.
        filename: name of the item's file.
    """
    with ocp.Checkpointer(ocp.JsonCheckpointHandler(filename=filename)) as checkpointer:
        checkpointer.save(folder.absolute(), args=ocp.args.JsonSave(tree))
