"""Compute a Flax NNX model, whole or by sub-module, in any precision, and record its calls."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import jax
import numpy as np
from flax import nnx

from parity.capture.calls import WHOLE, Call, CapturedCall, Computed, describe_failure
from parity.capture.jax_program import Program, ProgramInputs, ProgramRunner, Results, prepare, watch
from parity.capture.resolve import resolve
from parity.capture.trees import Arrays
from parity.mapping.model_map import ModelMap, Path, dotted
from parity.mapping.nnx_modules import child, modules
from parity.mapping.sequentials import with_sequentials
from parity.mapping.weights import ParamLink, param_links


@dataclass(frozen=True)
class ModuleLocation:
    """A sub-module's location: at `path`, at `index` of the stacks on the way."""

    path: Path
    index: tuple[int, ...]

    @property
    def depth(self) -> int:
        """The length of the path with the index of a block after each stack."""
        return len(self.path) + len(self.index)


class JaxSide:
    """The JAX model of a pair, which is compared with the reference. Arguments and results are NumPy arrays.

    What is not `compiled` runs operation by operation, with the code as it is at each run.

    Args:
        at: Returns the model that computes in a dtype; its weights are NumPy or JAX arrays.
        mapping: How the models correspond.
        whole: Called with the model and the arguments; None calls the model as `mapping` says.
        root: The label of the model itself.
        compiled: Whether to compile.
    """

    def __init__(
        self,
        at: Callable[[str], nnx.Module],
        mapping: ModelMap,
        whole: Callable[..., Any] | None,
        root: str,
        compiled: bool = True,
    ):
        self.at, self.mapping, self.root = cache(at), mapping, root
        self.whole, self.runs = whole, ProgramRunner(compiled)

    @cached_property
    def locations(self) -> dict[str, ModuleLocation]:
        """The model and its sub-modules by label. If PyTorch merges several into one label, the outermost counts."""
        locations: dict[str, ModuleLocation] = {}
        for path, _ in sorted(modules(self.at("float64")), key=lambda item: len(item[0])):
            where = [depth for depth in range(1, len(path) + 1) if path[:depth] in self.stacks]
            lengths = [self.stacks[path[:depth]] for depth in where]
            for index in np.ndindex(*lengths):
                locations.setdefault(self.label(_inserted(path, where, index)), ModuleLocation(path, index))
        return locations

    @cached_property
    def stacks(self) -> dict[Path, int]:
        """The lengths of stacks by their paths."""
        lengths = {}
        for link in self.param_links:
            parts = range(len(link.path))
            where = [
                i + 1 for i in parts if link.path[i] in self.mapping.stacks and not isinstance(link.path[i + 1], int)
            ]
            for depth, index in zip(where, link.index, strict=False):
                lengths[link.path[:depth]] = max(lengths.get(link.path[:depth], 0), index + 1)
        return lengths

    @cached_property
    def param_links(self) -> list[ParamLink]:
        """The links of the parameters."""
        return param_links(self.at("float64"), self.mapping, nnx.Param)

    @cached_property
    def state_links(self) -> list[ParamLink]:
        """The links of the running statistics."""
        return param_links(self.at("float64"), self.mapping, nnx.BatchStat)

    @cached_property
    def names(self) -> ModelMap:
        """The map that converts this model's paths to PyTorch's."""
        return with_sequentials(self.mapping, self.at("float64"))

    @property
    def code(self) -> Any:
        """The code of the whole: a function, or the type of the model."""
        return self.whole or type(self.at("float64"))

    def label(self, path: Path) -> str:
        """Find the label of a module.

        Args:
            path: Its path, with the index of a block after each stack.

        Returns:
            The label.
        """
        return dotted(self.names.torch_path(path)) or self.root

    def compute(self, call: Call, dtype: str) -> Computed:
        """Compute a sub-module, a function or the whole on a call's arguments, and the gradients for its cotangents.

        Args:
            call: The call.
            dtype: The dtype to compute in.

        Returns:
            Outputs and gradients.

        Raises:
            ValueError: If it returns other arrays than in PyTorch, or if a sub-module cannot be called with these
                arguments.
        """
        try:
            with jax.enable_x64(dtype == "float64"):
                results = self.runs.compute(*self._prepared(call, dtype), call, dtype)
        except Exception as error:  # in a call that the model never makes, anything may be raised
            if call.label == WHOLE:
                raise
            raise ValueError(describe_failure(call, error)) from error
        return self._computed(call, results)

    def watch(self, call: Call, labels: AbstractSet[str], dtype: str) -> tuple[Computed, list[CapturedCall]]:
        """Compute the whole, and record the calls inside it.

        Args:
            call: A call of the whole.
            labels: The labels to record.
            dtype: The dtype to compute in.

        Returns:
            Outputs and gradients of the whole, and the calls in the order in which they end.
        """

        def label_of(path: Path) -> str | None:
            label = self.label(path)
            return label if label in labels and len(path) == self.locations[label].depth else None

        functions = {label: label for label in self.mapping.functions if label in labels}
        with jax.enable_x64(dtype == "float64"):
            program, given = self._prepared(call, dtype)
            watching = {"label_of": label_of, "stacks": self.stacks, "functions": functions}
            results, seen = watch(program, given, call, dtype, **watching)
        return self._computed(call, results), seen

    def _prepared(self, call: Call, dtype: str) -> tuple[Program, ProgramInputs]:
        if call.label in self.mapping.functions:
            return prepare(None, resolve(call.label), call, dtype)
        function = self.mapping.caller(call.label) or _call
        if call.label == WHOLE:
            return prepare(self.at(dtype), self.whole or function, call, dtype)
        return prepare(self.submodule(call.label, dtype), function, call, dtype)

    def submodule(self, label: str, dtype: str) -> nnx.Module:
        """Take a sub-module with its own weights; for a stack, one block.

        Args:
            label: Its label.
            dtype: The dtype that it computes in.

        Returns:
            The sub-module.
        """
        location, index = self.locations[label], 0
        module: Any = self.at(dtype)
        for depth, part in enumerate(location.path, start=1):
            module = child(module, part)
            if location.path[:depth] in self.stacks:
                graph, state = nnx.split(module)
                module = nnx.merge(graph, jax.tree.map(lambda a, i=location.index[index]: a[i], state))
                index += 1
        return module

    def is_callable(self, label: str) -> bool:
        """Tell whether a sub-module is more than a container.

        Args:
            label: Its label.

        Returns:
            Whether it can be called.
        """
        return callable(self.submodule(label, "float64"))

    def _computed(self, call: Call, results: Results) -> Computed:
        outputs, parameters, inputs, state = results
        parameters = self._in_torch(call.label, parameters, self.param_links)
        return Computed(outputs, parameters, inputs, self._in_torch(call.label, state, self.state_links))

    def _in_torch(self, label: str, by_path: Mapping[Path, np.ndarray], links: list[ParamLink]) -> Arrays:
        """Convert arrays of a sub-module's variables to PyTorch's names and layout."""
        if label in self.mapping.functions:
            return {}
        location, arrays = self.locations[self.root if label == WHOLE else label], {}
        for link in links:
            inside, deeper = (
                link.path[: len(location.path)] == location.path,
                link.index[: len(location.index)] == location.index,
            )
            if not (inside and deeper):
                continue
            array = by_path[link.path[len(location.path) :]][(*link.index[len(location.index) :], ...)]
            array = link.layout.to_torch(array)
            if link.layout.torch_part:
                whole = arrays.setdefault(link.name, np.full(link.spec.shape, np.nan, array.dtype))
                link.layout.torch_part.select(whole)[...] = array
            else:
                arrays[link.name] = array
        return arrays


def _call(module: Any, *arguments: Any, **keywords: Any) -> Any:
    return module(*arguments, **keywords)


def _inserted(path: Path, where: list[int], index: tuple[int, ...]) -> Path:
    at = dict(zip(where, index, strict=True))
    return tuple(x for depth, part in enumerate(path, start=1) for x in ((part, at[depth]) if depth in at else (part,)))
