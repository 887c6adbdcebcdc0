"""One compiled computation of a module or function: outputs, gradients, and what its sub-modules return."""

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

Results = tuple[Arrays, Mapping[Any, Any], Arrays]
"""Outputs, and the gradients of parameters and of inputs."""


MAX_PROGRAMS = 128
"""Programs that stay compiled, each in every dtype that it was run in: that may take two hundred mappings of memory, of
which Linux gives a process 65,530."""


@dataclass(frozen=True)
class Program:
    """What is computed: `function` of the module, or by itself, called with a tree of arrays and of other things."""

    graph: nnx.GraphDef | None
    function: Callable[..., Any]
    tree: Any
    others: tuple[Any, ...]
    """The leaves that are no arrays, None in the place of each that is."""
    names: tuple[str, ...]
    """Of its outputs in PyTorch."""

    def module(self, parameters: nnx.State, rest: nnx.State) -> nnx.Module | None:
        if self.graph is None:
            return None
        # with variables of its own: those of `rest` may not be changed where the program is traced
        return nnx.merge(self.graph, parameters, jax.tree.map(jnp.asarray, rest))

    def outputs(self, module: nnx.Module | None, arrays: Mapping[int, Any]) -> list[Any]:
        """In PyTorch's order: by name where the names are the same, else as they come.

        Raises ValueError where both return dictionaries that have other keys.
        """
        results = named_arrays(self(module, arrays))
        if results.keys() == set(self.names):
            return [results[name] for name in self.names]
        if results and self.names and all(name.startswith("['") for name in (*results, *self.names)):
            raise ValueError(f"it returns {', '.join(results)} in JAX and {', '.join(self.names)} in PyTorch")
        return list(results.values())

    def __call__(self, module: nnx.Module | None, arrays: Mapping[int, Any]) -> Any:
        leaves = [arrays.get(place, unwrap_constant(other)) for place, other in enumerate(self.others)]
        arguments, keywords = jax.tree.unflatten(self.tree, leaves)
        return (
            self.function(*arguments, **keywords) if module is None else self.function(module, *arguments, **keywords)
        )


class ProgramInputs(NamedTuple):
    """What a program is run on."""

    parameters: nnx.State
    rest: nnx.State
    reals: dict[int, Any]
    """The arrays that have gradients, by their places among the leaves."""
    whole: dict[int, Any]
    """The arrays that have none."""


def prepare(
    module: nnx.Module | None, function: Callable[..., Any], call: Call, dtype: str
) -> tuple[Program, ProgramInputs]:
    """What computes a call in a dtype, and what it is run on."""
    nothing = nnx.State({})
    graph, parameters, rest = (None, nothing, nothing) if module is None else nnx.split(module, nnx.Param, ...)
    leaves, tree = jax.tree.flatten(cast((call.arguments, dict(call.keywords)), dtype))
    others = tuple(None if is_array(leaf) else leaf for leaf in leaves)
    arrays = {place: leaf for place, leaf in enumerate(leaves) if is_array(leaf)}
    reals = {place: leaf for place, leaf in arrays.items() if is_real(leaf)}
    whole = {place: leaf for place, leaf in arrays.items() if place not in reals}
    return Program(graph, function, tree, others, tuple(call.outputs)), ProgramInputs(parameters, rest, reals, whole)


class ProgramRunner:
    """Runs programs. What is compiled is kept here, and no longer: code that has changed since is another's."""

    def __init__(self, compiled: bool = True):
        """What is not `compiled` runs operation by operation, whatever has changed in the code since it ran last."""
        self.of: Callable[..., Any] = lru_cache(MAX_PROGRAMS)(_compiled) if compiled else _uncompiled

    def compute(self, program: Program, given: ProgramInputs, call: Call, dtype: str) -> Results:
        """Outputs by their names in PyTorch and gradients. Raises ValueError where there are more or fewer outputs.

        The whole is compiled as it is where it is used; but float64 tells what is computed, not how well it is
        compiled, and of a sub-module by itself no user has a program: these are compiled quickly.
        """
        run = self.of(program, call.label != WHOLE or dtype == "float64")
        return _results(call, *run(given, _cotangents(call, dtype)))


def _compiled(program: Program, quickly: bool) -> Callable[..., Any]:
    return jax.jit(partial(_run, program), compiler_options=QUICK if quickly else None)


def _uncompiled(program: Program, quickly: bool) -> Callable[..., Any]:
    del quickly
    return partial(_run, program)


def watch(
    program: Program, given: ProgramInputs, call: Call, dtype: str, **watching: Any
) -> tuple[Results, list[CapturedCall]]:
    """The same; and what each watched call returns, with the gradients there. `watching` is `watched`'s."""
    names: list[tuple[str, int, tuple[str, ...]]] = []

    def outputs(parameters, reals, added):
        module = program.module(parameters, given.rest)
        assert module is not None, "functions have no sub-modules"
        with watched(module, added=added, **watching) as returns:
            results = program.outputs(module, reals | given.whole)
        names[:] = [(r.label, r.count, tuple(r.outputs)) for r in returns]
        seen = [list(r.outputs.values()) for r in returns]
        return [x for x in results if is_real(x)], (results, seen)

    _, (_, shapes) = jax.eval_shape(outputs, given.parameters, given.reals, {})
    reals = [[jnp.zeros(x.shape, x.dtype) for x in of_call if is_real(x)] for of_call in shapes]
    added = dict(zip(((label, count) for label, count, _ in names), reals, strict=True))

    @partial(jax.jit, compiler_options=QUICK)
    def run(parameters, reals, added, cotangents):
        heads, pull_back, (results, seen) = jax.vjp(outputs, parameters, reals, added, has_aux=True)
        return results, seen, pull_back(_as(heads, cotangents))

    cotangents = _cotangents(call, dtype)
    results, seen, (parameters, inputs, inner) = jax.device_get(run(given.parameters, given.reals, added, cotangents))
    calls = []
    for (label, count, of_call), arrays in zip(names, seen, strict=True):
        returned = dict(zip(of_call, arrays, strict=True))
        gradients = zip((name for name, x in returned.items() if is_real(x)), inner[label, count], strict=True)
        calls.append(CapturedCall(label, count, returned, dict(gradients)))
    return _results(call, results, parameters, inputs), calls


def _run(program: Program, given: ProgramInputs, cotangents: list[jax.Array]):
    def outputs(parameters, reals):
        module = program.module(parameters, given.rest)
        results = program.outputs(module, reals | given.whole)
        return [x for x in results if is_real(x)], results

    heads, pull_back, results = jax.vjp(outputs, given.parameters, given.reals, has_aux=True)
    return results, *pull_back(_as(heads, cotangents))


def _cotangents(call: Call, dtype: str) -> list[Any]:
    """In the order of the outputs."""
    return [call.cotangents[name].astype(jnp.dtype(dtype)) for name in call.outputs if name in call.cotangents]


def _as(heads: list[jax.Array], cotangents: list[jax.Array]) -> list[jax.Array]:
    """In the dtypes of what they are the cotangents of: a norm returns float32 whatever it is given.

    Raises ValueError where the shapes differ.
    """
    shapes = [x.shape for x in heads], [x.shape for x in cotangents]
    if shapes[0] != shapes[1]:
        raise ValueError(f"it returns arrays of the shapes {shapes[0]} in JAX and {shapes[1]} in PyTorch")
    return [cotangent.astype(head.dtype) for head, cotangent in zip(heads, cotangents, strict=True)]


def _results(call: Call, results: list[Any], parameters: Any, inputs: dict[int, Any]) -> Results:
    results, parameters, inputs = jax.device_get((results, parameters, inputs))
    if len(results) != len(call.outputs):
        raise ValueError(f"it returns {len(results)} arrays in JAX and {len(call.outputs)} in PyTorch")
    named = named_arrays((call.arguments, dict(call.keywords)))
    of_inputs = dict(zip((name for name, x in named.items() if is_real(x)), inputs.values(), strict=True))
    of_parameters = traverse_util.flatten_dict(nnx.to_pure_dict(parameters)) if parameters else {}
    return dict(zip(call.outputs, results, strict=True)), of_parameters, of_inputs
