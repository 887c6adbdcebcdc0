"""Compile one computation of a module or function: outputs, gradients, and what its sub-modules return."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util

from parity.capture.calls import WHOLE, Call, CapturedCall
from parity.capture.jax_watch import watched
from parity.capture.quick_compile import QUICK
from parity.capture.trees import Arrays, cast, is_array, is_real, named_arrays, unwrap_constant

Results = tuple[Arrays, Mapping[Any, Any], Arrays, Mapping[Any, Any]]
"""Outputs, the gradients of parameters and of inputs, and the running statistics after the call."""


MAX_PROGRAMS = 128
"""The number of programs that stay compiled, each in every dtype that it ran in. A program may take two hundred memory
mappings, of which Linux allows a process 65,530.
"""


@dataclass(frozen=True)
class Program:
    """What is computed: `function`, called with the module, if there is one, and a tree of arrays and other values."""

    graph: nnx.GraphDef | None
    function: Callable[..., Any]
    tree: Any
    others: tuple[Any, ...]
    """The leaves that are not arrays; None where the leaf is an array."""
    names: tuple[str, ...]
    """The names of its outputs in PyTorch."""

    def module(self, parameters: nnx.State, rest: nnx.State) -> nnx.Module | None:
        """Build the module with variables of its own, so that tracing changes none of `rest`.

        Args:
            parameters: Its parameters.
            rest: Its other variables.

        Returns:
            The module; None for a function.
        """
        if self.graph is None:
            return None
        # jnp.asarray makes new variables: tracing must not change those of `rest`
        return nnx.merge(self.graph, parameters, jax.tree.map(jnp.asarray, rest))

    def outputs(self, module: nnx.Module | None, arrays: Mapping[int, Any]) -> list[Any]:
        """Compute the outputs in PyTorch's order: by name if the names are the same, else as they come.

        Args:
            module: The module; None for a function.
            arrays: The arrays among the leaves, by position.

        Returns:
            The output arrays.

        Raises:
            ValueError: If both frameworks return dictionaries with different keys.
        """
        results = named_arrays(self(module, arrays))
        if results.keys() == set(self.names):
            return [results[name] for name in self.names]
        if results and self.names and all(name.startswith("['") for name in (*results, *self.names)):
            raise ValueError(f"it returns {', '.join(results)} in JAX and {', '.join(self.names)} in PyTorch")
        return list(results.values())

    def __call__(self, module: nnx.Module | None, arrays: Mapping[int, Any]) -> Any:
        """Call the function with the tree of arrays and other values."""
        leaves = [arrays.get(place, unwrap_constant(other)) for place, other in enumerate(self.others)]
        arguments, keywords = jax.tree.unflatten(self.tree, leaves)
        return (
            self.function(*arguments, **keywords) if module is None else self.function(module, *arguments, **keywords)
        )


class ProgramInputs(NamedTuple):
    """The inputs of a program."""

    parameters: nnx.State
    rest: nnx.State
    reals: dict[int, Any]
    """The arrays that have gradients, by their positions among the leaves."""
    whole: dict[int, Any]
    """The arrays without gradients, such as integers."""


def prepare(
    module: nnx.Module | None, function: Callable[..., Any], call: Call, dtype: str
) -> tuple[Program, ProgramInputs]:
    """Split a call into a program and its inputs.

    Args:
        module: The module; None for a function.
        function: What is called.
        call: The call as PyTorch made it.
        dtype: The dtype to compute in.

    Returns:
        The program and its inputs.
    """
    nothing = nnx.State({})
    graph, parameters, rest = (None, nothing, nothing) if module is None else nnx.split(module, nnx.Param, ...)
    leaves, tree = jax.tree.flatten(cast((call.arguments, dict(call.keywords)), dtype))
    others = tuple(None if is_array(leaf) else leaf for leaf in leaves)
    arrays = {place: leaf for place, leaf in enumerate(leaves) if is_array(leaf)}
    reals = {place: leaf for place, leaf in arrays.items() if is_real(leaf)}
    whole = {place: leaf for place, leaf in arrays.items() if place not in reals}
    return Program(graph, function, tree, others, tuple(call.outputs)), ProgramInputs(parameters, rest, reals, whole)


class ProgramRunner:
    """Run programs and keep them compiled, but only as long as this runner lives: the code may change afterwards.

    Args:
        compiled: If false, programs run operation by operation, with the code as it is at each run.
    """

    def __init__(self, compiled: bool = True):
        self.of: Callable[..., Any] = lru_cache(MAX_PROGRAMS)(_compiled) if compiled else _uncompiled

    def compute(self, program: Program, given: ProgramInputs, call: Call, dtype: str) -> Results:
        """Compute outputs, by their names in PyTorch, and gradients.

        The whole is compiled as its users compile it. Sub-modules and float64 are compiled quickly: no user runs a sub-
        module by itself, and float64 tests what is computed, not how well it is compiled.

        Args:
            program: What to compute.
            given: Its inputs.
            call: The call, for its cotangents and output names.
            dtype: The dtype of the cotangents.

        Returns:
            Outputs and gradients.

        Raises:
            ValueError: If JAX returns more or fewer arrays than PyTorch.
        """
        run = self.of(program, call.label != WHOLE or dtype == "float64")
        return _results(call, *run(given, _cotangents(call, dtype)))


def _compiled(program: Program, quickly: bool) -> Callable[..., Any]:
    return jax.jit(partial(_run, program), compiler_options=QUICK if quickly else None)


def _uncompiled(program: Program, quickly: bool) -> Callable[..., Any]:
    del quickly
    # arrays of NumPy become arrays of JAX, as they do when a function is compiled
    return lambda given, cotangents: _run(program, jax.tree.map(jnp.asarray, given), cotangents)


def watch(
    program: Program, given: ProgramInputs, call: Call, dtype: str, **watching: Any
) -> tuple[Results, list[CapturedCall]]:
    """Compute the whole, and record what each watched call returns and the gradients there.

    Args:
        program: What to compute.
        given: Its inputs.
        call: The call, for its cotangents and output names.
        dtype: The dtype of the cotangents.
        **watching: Keywords of `jax_watch.watched`.

    Returns:
        Outputs and gradients of the whole, and the recorded calls in the order in which they end.
    """
    names: list[tuple[str, int, tuple[str, ...]]] = []
    given = jax.tree.map(jnp.asarray, given)

    def outputs(parameters, reals, added):
        module = program.module(parameters, given.rest)
        assert module is not None, "functions have no sub-modules"
        with watched(module, added=added, **watching) as returns:
            results = program.outputs(module, reals | given.whole)
        names[:] = [(r.label, r.count, tuple(r.outputs)) for r in returns]
        seen = [list(r.outputs.values()) for r in returns]
        return [x for x in results if is_real(x)], (results, seen, _statistics(module))

    _, (_, shapes, _) = jax.eval_shape(outputs, given.parameters, given.reals, {})
    reals = [[jnp.zeros(x.shape, x.dtype) for x in of_call if is_real(x)] for of_call in shapes]
    added = dict(zip(((label, count) for label, count, _ in names), reals, strict=True))

    @partial(jax.jit, compiler_options=QUICK)
    def run(parameters, reals, added, cotangents):
        heads, pull_back, (results, seen, state) = jax.vjp(outputs, parameters, reals, added, has_aux=True)
        return results, seen, state, pull_back(_as(heads, cotangents))

    cotangents = _cotangents(call, dtype)
    computed = jax.device_get(run(given.parameters, given.reals, added, cotangents))
    results, seen, state, (parameters, inputs, inner) = computed
    calls = []
    for (label, count, of_call), arrays in zip(names, seen, strict=True):
        returned = dict(zip(of_call, arrays, strict=True))
        gradients = zip((name for name, x in returned.items() if is_real(x)), inner[label, count], strict=True)
        calls.append(CapturedCall(label, count, returned, dict(gradients)))
    return _results(call, results, state, parameters, inputs), calls


def _run(program: Program, given: ProgramInputs, cotangents: list[jax.Array]):
    def outputs(parameters, reals):
        module = program.module(parameters, given.rest)
        results = program.outputs(module, reals | given.whole)
        return [x for x in results if is_real(x)], (results, _statistics(module))

    heads, pull_back, (results, state) = jax.vjp(outputs, given.parameters, given.reals, has_aux=True)
    return results, state, *pull_back(_as(heads, cotangents))


def _statistics(module: nnx.Module | None) -> nnx.State:
    return nnx.State({}) if module is None else nnx.state(module, nnx.BatchStat)


def _cotangents(call: Call, dtype: str) -> list[Any]:
    """Return the cotangents in the order of the outputs."""
    return [call.cotangents[name].astype(jnp.dtype(dtype)) for name in call.outputs if name in call.cotangents]


def _as(heads: list[jax.Array], cotangents: list[jax.Array]) -> list[jax.Array]:
    """Cast the cotangents to the outputs' dtypes: a norm returns float32 whatever it is given.

    Raises ValueError if the shapes differ.
    """
    shapes = [x.shape for x in heads], [x.shape for x in cotangents]
    if shapes[0] != shapes[1]:
        raise ValueError(f"it returns arrays of the shapes {shapes[0]} in JAX and {shapes[1]} in PyTorch")
    return [cotangent.astype(head.dtype) for head, cotangent in zip(heads, cotangents, strict=True)]


def _results(call: Call, results: list[Any], state: Any, parameters: Any, inputs: dict[int, Any]) -> Results:
    results, state, parameters, inputs = jax.device_get((results, state, parameters, inputs))
    if len(results) != len(call.outputs):
        raise ValueError(f"it returns {len(results)} arrays in JAX and {len(call.outputs)} in PyTorch")
    named = named_arrays((call.arguments, dict(call.keywords)))
    of_inputs = dict(zip((name for name, x in named.items() if is_real(x)), inputs.values(), strict=True))
    outputs = dict(zip(call.outputs, results, strict=True))
    return outputs, _by_path(parameters), of_inputs, _by_path(state)


def _by_path(variables: Any) -> Mapping[Any, Any]:
    return traverse_util.flatten_dict(nnx.to_pure_dict(variables)) if variables else {}
