"""Record what the sub-modules of a Flax NNX model return while it is traced, without changing the model's code.

The `__call__` of every type of sub-module is wrapped temporarily. Calls inside a transformation (`jax.lax.scan`,
`jax.checkpoint`) have no values outside it and are not recorded: compare such models unrolled, without remat.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import jax
from flax import nnx
from flax.nnx.tracers import TraceState

from parity.capture.resolve import patch_functions
from parity.capture.trees import is_real, map_arrays, named_arrays
from parity.mapping.model_map import Path
from parity.mapping.nnx_modules import modules


@dataclass(frozen=True)
class Return:
    """What one call returned, by name."""

    label: str
    count: int
    outputs: dict[str, Any]


Added = Mapping[tuple[str, int], Sequence[jax.Array]]
"""What is added to the outputs of a call, by label and count: zeros, whose gradient is that of the output."""


@contextmanager
def watched(
    root: nnx.Module,
    label_of: Callable[[Path], str | None],
    stacks: Mapping[Path, int],
    functions: Mapping[str, str],
    added: Added,
) -> Iterator[list[Return]]:
    """Record what every call returns, in the order in which calls end.

    Args:
        root: The model.
        label_of: Returns the label of a module's path, with the index of a block after each stack; None to skip it.
        stacks: The lengths of stacks by path.
        functions: Functions to record: where they are looked up, by label.
        added: What to add to the outputs.

    Yields:
        The list that the calls are recorded in.
    """
    watch = _Watch(root, label_of, stacks, added)
    with ExitStack() as stack:
        stack.enter_context(patch_functions(functions, watch.function))
        for kind in {type(module) for _, module in modules(root) if callable(module)}:
            stack.enter_context(patch.object(kind, "__call__", watch.method(kind.__call__)))
        yield watch.ended


class _Watch:
    def __init__(self, root, label_of, stacks, added):
        self.label_of, self.stacks, self.added = label_of, stacks, added
        self.paths: dict[int, Path] = {}
        self.alive: list[Any] = []  # keeps modules alive, so that ids stay unique
        self.open: list[tuple[nnx.Module, Counter]] = []
        self.counts = Counter()
        self.ended: list[Return] = []
        self.trace = TraceState()
        self._know(root, ())

    def _know(self, module: nnx.Module, at: Path) -> None:
        for path, inner in modules(module):
            self.paths[id(inner)] = (*at, *path)
            self.alive.append(inner)

    def _path(self, module: nnx.Module) -> Path | None:
        """Find a module's path. A block taken out of a stack is known by its type and the number of earlier calls."""
        if id(module) not in self.paths and self.open:
            parent, blocks = self.open[-1]
            for stack, length in self.stacks.items():
                same = isinstance(module, type(getattr(parent, str(stack[-1]), None)))
                if same and self.paths.get(id(parent)) == stack[:-1]:
                    self._know(module, (*stack, blocks[stack] % length))
                    blocks[stack] += 1
        return self.paths.get(id(module))

    def method(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module, *arguments, **keywords):
            again = bool(self.open) and self.open[-1][0] is module  # a subclass that calls its parent's __call__
            path = None if again else self._path(module)
            label = None if path is None else self.label_of(path)
            if path is None:
                return original(module, *arguments, **keywords)
            self.open.append((module, Counter()))
            try:
                outputs = original(module, *arguments, **keywords)
            finally:
                self.open.pop()
            return outputs if label is None else self._returned(label, outputs)

        return call

    def function(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **keywords: self._returned(label, function(*arguments, **keywords))

    def _returned(self, label: str, outputs: Any) -> Any:
        count = self.counts[label]
        self.counts[label] += 1
        if not self.trace.is_valid():
            return outputs
        added = iter(self.added.get((label, count), ()))
        outputs = map_arrays(lambda x: x + next(added, 0) if is_real(x) else x, outputs)
        self.ended.append(Return(label, count, named_arrays(outputs)))
        return outputs
