"""Record the arguments and outputs of a PyTorch model's sub-modules with hooks, without changing the model's code."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from parity.capture.resolve import patch_functions
from parity.capture.trees import copy_tensors, expand_dataclasses, is_real, map_arrays, named_arrays


@dataclass
class PendingCall:
    """A call that has begun. Its tensors are part of the graph."""

    label: str
    count: int
    parents: tuple[int, ...]
    begun: int
    arguments: tuple
    keywords: dict[str, Any]
    outputs: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def watched(modules: Mapping[str, nn.Module], functions: Mapping[str, str]) -> Iterator[list[PendingCall]]:
    """Record every call, in the order in which calls end.

    Args:
        modules: The sub-modules to record, by label.
        functions: Functions to record: where they are looked up, by label.

    Yields:
        The list that the calls are recorded in.
    """
    watch = _Watch()
    handles = []
    for label, module in modules.items():
        handles.append(module.register_forward_pre_hook(watch.before(label), with_kwargs=True))
        handles.append(module.register_forward_hook(watch.after))
    try:
        with patch_functions(functions, watch.function):
            yield watch.ended
    finally:
        for handle in handles:
            handle.remove()


class _Watch:
    def __init__(self):
        self.open: list[PendingCall] = []
        self.ended: list[PendingCall] = []
        self.begun = 0
        self.counts = Counter()

    def begin(self, label: str, arguments: tuple, keywords: dict[str, Any]) -> None:
        parents = tuple(call.begun for call in self.open)
        copies = copy_tensors((arguments, keywords))
        self.open.append(PendingCall(label, self.counts[label], parents, self.begun, *copies))
        self.counts[label] += 1
        self.begun += 1

    def end(self, outputs: Any) -> Any:
        """Record a copy of the outputs, and return a copy of that copy: the outputs may be the inputs themselves.

        Every recorded tensor has a gradient, also a table of angles.
        """
        copies = map_arrays(
            lambda x: x.requires_grad_() if isinstance(x, Tensor) and is_real(x) else x, copy_tensors(outputs)
        )
        call = self.open.pop()
        call.outputs = {
            name: x for name, x in named_arrays(expand_dataclasses(copies)).items() if isinstance(x, Tensor)
        }
        self.ended.append(call)
        return copy_tensors(copies)

    def before(self, label: str) -> Callable[..., None]:
        return lambda module, arguments, keywords: self.begin(label, arguments, keywords)

    def after(self, module: nn.Module, arguments: tuple, outputs: Any) -> Any:
        return self.end(outputs)

    def function(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments, **keywords):
            self.begin(label, arguments, keywords)
            return self.end(function(*arguments, **keywords))

        return call
