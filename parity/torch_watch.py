"""What the sub-modules of a PyTorch model are called with and return, by hooks: model code knows nothing of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from parity.lookup import wrapped
from parity.trees import named_arrays


@dataclass
class Open:
    """A call that has begun; its tensors are still those of the graph."""

    label: str
    count: int
    parents: tuple[int, ...]
    begun: int
    arguments: tuple
    keywords: dict[str, Any]
    outputs: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def watched(modules: Mapping[str, nn.Module], functions: Mapping[str, str]) -> Iterator[list[Open]]:
    """Within, every call is recorded; the list is in the order in which they end."""
    watch = _Watch()
    handles = []
    for label, module in modules.items():
        handles.append(module.register_forward_pre_hook(watch.before(label), with_kwargs=True))
        handles.append(module.register_forward_hook(watch.after, always_call=False))
    try:
        with wrapped(functions, watch.function):
            yield watch.ended
    finally:
        for handle in handles:
            handle.remove()


class _Watch:
    def __init__(self):
        self.open: list[Open] = []
        self.ended: list[Open] = []
        self.begun = 0
        self.counts = Counter()

    def begin(self, label: str, arguments: tuple, keywords: dict[str, Any]) -> None:
        parents = tuple(call.begun for call in self.open)
        self.open.append(Open(label, self.counts[label], parents, self.begun, arguments, keywords))
        self.counts[label] += 1
        self.begun += 1

    def end(self, outputs: Any) -> None:
        call = self.open.pop()
        call.outputs = named_arrays(outputs)
        self.ended.append(call)

    def before(self, label: str) -> Callable[..., None]:
        return lambda module, arguments, keywords: self.begin(label, arguments, keywords)

    def after(self, module: nn.Module, arguments: tuple, outputs: Any) -> None:
        self.end(outputs)

    def function(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments, **keywords):
            self.begin(label, arguments, keywords)
            outputs = function(*arguments, **keywords)
            self.end(outputs)
            return outputs

        return call
