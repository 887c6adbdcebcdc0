"""`nnx.Sequential` keeps its modules in a list called `layers`, of which PyTorch's paths know nothing."""

from dataclasses import replace

from flax import nnx

from parity.mapping.model_map import ModelMap, Path, dotted
from parity.mapping.nnx_modules import modules


def with_sequentials(mapping: ModelMap, root: nnx.Module) -> ModelMap:
    """The map with a rename for each nnx.Sequential of a model: `net.layers` is `net`. Renames of the map's own that
    are as long, or longer, count before it.
    """
    paths = sorted((path for path, module in modules(root) if isinstance(module, nnx.Sequential)), key=len)
    for path in paths:  # the outer ones first: the names of those within begin with theirs
        pattern = _with_blocks(path, mapping)
        renames = {dotted((*pattern, "layers")): dotted(mapping.torch_path(pattern))}
        mapping = replace(mapping, renames=renames | dict(mapping.renames))
    return mapping


def _with_blocks(path: Path, mapping: ModelMap) -> Path:
    """With `*`, any block, behind what may be a stack and has no index there."""
    parts: list[str | int] = []
    for part, after in zip(path, (*path[1:], None), strict=True):
        parts.append(part)
        if part in mapping.stacks and not isinstance(after, int):
            parts.append("*")
    return tuple(parts)
