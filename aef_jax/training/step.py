"""The training step, one compiled function of (state, batch), and its initial state (paper, S4).

Mirror: aef_torch/training/step.py.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Int, Shaped

from aef_jax.model.alphaearth import AlphaEarth
from aef_jax.model.bottleneck import sample_noise
from aef_jax.sharding.compiler_options import compiler_options, one_off_options
from aef_jax.sharding.mesh import constrain, replicated, state_shardings, with_mesh
from aef_jax.training.freeze import freezer
from aef_jax.training.objective import objective
from aef_jax.training.optimizer import learning_rate, make_optimizer
from configs.batch import Batch, BottleneckNoise
from configs.config import Config

Terms = dict[str, Shaped[Array, ""]]
NoiseFn = Callable[[Batch, Int[Array, ""] | int], BottleneckNoise]
"""Draws the noise for one part of a step's batch, from that part and its number."""


class TrainState(NamedTuple):
    """All that a step changes."""

    params: nnx.State
    optimizer: optax.OptState
    step: Int[Array, ""]


@lru_cache(maxsize=8)  # step, evaluator and embedder need it; each trace takes half a second
def abstract_model(config: Config) -> tuple[nnx.GraphDef, nnx.State]:
    """Describe the model without allocating parameters.

    Args:
        config: the config of the run.

    Returns:
        The model's structure, and the shapes of its parameters.
    """
    return nnx.split(nnx.eval_shape(lambda: AlphaEarth(config, rngs=nnx.Rngs(0))))


def abstract_state(config: Config, mesh: Mesh) -> TrainState:
    """Describe the state of a run without allocating it. A checkpoint is restored onto this description.

    Args:
        config: the config of the run.
        mesh: the devices.

    Returns:
        The state's shapes, dtypes and shardings.
    """
    shapes = jax.eval_shape(lambda params: _fresh_state(config, params), abstract_model(config)[1])
    shardings = state_shardings(shapes, mesh)
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, shardings)


def init_state(config: Config, mesh: Mesh) -> TrainState:
    """Make the state before the first step. Each device allocates only its own part.

    Args:
        config: the config of the run.
        mesh: the devices.

    Returns:
        The state.
    """
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(config, mesh))
    # hundreds of small draws that run once: optimizing their code would take longer than the rest of the start
    return jax.jit(_initializer(config), out_shardings=shardings, compiler_options=one_off_options(mesh))()


def make_train_step(config: Config, mesh: Mesh) -> jax.stages.Wrapped:
    """Make the compiled step, (state, batch) -> (state, terms). It donates the state that it is given.

    Args:
        config: the config of the run.
        mesh: the devices.

    Returns:
        The jitted function, which compiles once.
    """
    update = make_update_fn(config, mesh)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Terms]:
        return update(state, batch, lambda sequences, part: step_noise(config, sequences, state.step, part))

    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract_state(config, mesh))
    return jax.jit(
        step,
        in_shardings=(shardings, None),  # a batch keeps its shardings
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh, gradients=True),
    )


def compile_in_thread(step: jax.stages.Wrapped, state: TrainState, batch: Batch) -> Callable:
    """Trace a step for the shapes of a state and a batch, and compile it in a thread.

    XLA does not hold Python's lock while it compiles, so the caller can make or restore the state meanwhile.

    Args:
        step: made by `make_train_step`.
        state: its shapes, dtypes and shardings.
        batch: its shapes, dtypes and shardings.

    Returns:
        The compiled step. Its first call waits for the compiler.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    compiled = pool.submit(step.lower(state, batch).compile)
    pool.shutdown(wait=False)  # it gets no other work
    return lambda *arguments: compiled.result()(*arguments)


def make_update_fn(config: Config, mesh: Mesh) -> Callable[[TrainState, Batch, NoiseFn], tuple[TrainState, Terms]]:
    """Make the step as a pure function of (state, batch, noise), in the dtype of the state.

    The noise is an argument: training draws it, parity tests replay it. The same seed gives the same noise in any
    program, except for the last bit of a few numbers, which XLA may round differently.

    Args:
        config: the config of the run.
        mesh: the devices.

    Returns:
        The function that updates a state.
    """
    graph, _ = abstract_model(config)
    optimizer, schedule = make_optimizer(config.training), learning_rate(config.training)
    without_frozen = freezer(config.training.freeze)

    def update(state: TrainState, batch: Batch, draw: NoiseFn) -> tuple[TrainState, Terms]:
        gradients, terms = _gradients(graph, config, state.params, batch, draw)
        gradients = without_frozen(gradients)
        norm = optax.tree.norm(gradients)
        # a non-finite loss may have finite gradients, and finite gradients a norm that overflows
        finite = jnp.isfinite(terms["loss"]) & jnp.isfinite(norm)
        before = cast(optax.ApplyIfFiniteState, state.optimizer)
        terms["gradient_norm"] = norm
        terms["learning_rate"] = jnp.asarray(schedule(state.step - before.total_notfinite))
        with jax.named_scope("optimizer"):
            updates, after = optimizer.update(gradients, state.optimizer, state.params, finite=finite)
            params = cast(nnx.State, optax.apply_updates(state.params, without_frozen(updates)))
        skipped = cast(optax.ApplyIfFiniteState, after)
        terms["skipped"] = jnp.asarray(skipped.total_notfinite)
        terms["consecutive_skips"] = jnp.asarray(skipped.notfinite_count)
        return TrainState(params, after, state.step + 1), terms

    return with_mesh(mesh, update)


def _gradients(
    graph: nnx.GraphDef, config: Config, params: nnx.State, batch: Batch, draw: NoiseFn
) -> tuple[nnx.State, Terms]:
    """Compute the loss's gradients and its terms, as means over `training.grad_accum_steps` parts of the batch."""

    def of(batch: Batch, part: Int[Array, ""] | int) -> tuple[nnx.State, Terms]:
        noise = draw(batch, part)
        loss = lambda params: objective(nnx.merge(graph, params), batch, noise, config)  # noqa: E731
        return jax.grad(loss, has_aux=True)(params)

    number = config.training.grad_accum_steps
    if number == 1:
        return of(batch, 0)
    parts = split(batch, number), jnp.arange(number)

    def add(total: tuple[nnx.State, Terms], part) -> tuple[tuple[nnx.State, Terms], None]:
        return jax.tree.map(jnp.add, total, of(*part)), None

    shapes = jax.eval_shape(of, *jax.tree.map(lambda x: x[0], parts))
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    unroll = number if config.model.block_loop == "unroll" else 1  # a loop is slow on several CPU devices
    total, _ = jax.lax.scan(add, nothing, parts, unroll=unroll)
    return jax.tree.map(lambda x: x / number, total)


def split(batch, number: int):
    """Split a batch into parts, on a new leading axis.

    Each part takes every n-th sequence, so that each device keeps some of its sequences in every part.

    Args:
        batch: a tree of arrays with sequences on the leading axis.
        number: number of parts.

    Returns:
        The tree with parts, then sequences, on the leading axes.
    """
    return jax.tree.map(lambda x: jnp.swapaxes(x.reshape(x.shape[0] // number, number, *x.shape[1:]), 0, 1), batch)


def step_noise(config: Config, batch: Batch, step: Int[Array, ""], part: Int[Array, ""] | int = 0) -> BottleneckNoise:
    """Draw the bottleneck's noise of one step. The same seed gives the same noise on any mesh.

    Args:
        config: the config of the run.
        batch: one part of the step's batch.
        step: number of the step.
        part: number of the part.

    Returns:
        The noise of that part.
    """
    sequences, height, width = batch.shared_period.shape[0], *_tile(batch)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(config.training.seed), step), part)
    shape = (sequences, len(batch.targets), height, width)
    noise = sample_noise(key, shape, config.model.embed_dim, config.model.kappa)
    return jax.tree.map(lambda x: constrain(x, "sequence", None, "row"), noise)


def _tile(batch: Batch) -> tuple[int, int]:
    return next(iter(batch.frames.values())).pixels.shape[2:4]


def _initializer(config: Config) -> Callable[[], TrainState]:
    def init() -> TrainState:
        return _fresh_state(config, nnx.state(AlphaEarth(config, rngs=nnx.Rngs(config.training.seed))))

    return init


def _fresh_state(config: Config, params: nnx.State) -> TrainState:
    return TrainState(params, make_optimizer(config.training).init(params), jnp.zeros((), jnp.int32))
