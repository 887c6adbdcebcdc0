"""Map `nnx.Sequential`, which keeps its modules in a list `layers` that PyTorch's paths do not contain."""

from dataclasses import replace

from flax import nnx

from parity.mapping.model_map import ModelMap, Path, dotted
from parity.mapping.nnx_modules import modules


def with_sequentials(mapping: ModelMap, root: nnx.Module) -> ModelMap:
    """Add a rename for each nnx.Sequential of a model: `net.layers` becomes `net`.

    Renames of the map itself that are as long, or longer, take precedence.

    Args:
        mapping: The map to extend.
        root: The JAX model.

    Returns:
        The extended map.
    """
    paths = sorted((path for path, module in modules(root) if isinstance(module, nnx.Sequential)), key=len)
    for path in paths:  # outer ones first: the paths of inner ones start with theirs
        pattern = _with_blocks(path, mapping)
        renames = {dotted((*pattern, "layers")): dotted(mapping.torch_path(pattern))}
        mapping = replace(mapping, renames=renames | dict(mapping.renames))
    return mapping


def _with_blocks(path: Path, mapping: ModelMap) -> Path:
    """Insert `*`, any block, after an attribute that may be a stack and has no index."""
    parts: list[str | int] = []
    for part, after in zip(path, (*path[1:], None), strict=True):
        parts.append(part)
        if part in mapping.stacks and not isinstance(after, int):
            parts.append("*")
    return tuple(parts)
