"""Convert the arrays of recurrent layers between JAX's and PyTorch's layout.

PyTorch adds two biases, `bias_ih` and `bias_hh`, where Flax has one: Flax's is their sum, and becomes `bias_ih` beside
a `bias_hh` of zeros. Both have its gradient. A layer `nn.LSTM`, `nn.GRU` or `nn.RNN` of one level is `nnx.RNN` with a
cell, or `nnx.Bidirectional` with two.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from flax import nnx

from parity.mapping.layout import Layout, Part

RecurrentLayouts = Mapping[str, tuple[Layout, ...]]
"""The layouts of each array of a recurrent layer, by its dotted name in JAX."""

_INPUT, _HIDDEN = "ih", "hh"
_SUMMED = tuple(Layout(f"bias_{side}", "o -> o", summand=index) for index, side in enumerate((_INPUT, _HIDDEN)))


def fused_cell(layer: nnx.Module) -> RecurrentLayouts:
    """Return the layouts of a cell with one product for the input and one for the hidden state.

    Args:
        layer: A cell with `dense_i` and `dense_h`, such as OptimizedLSTMCell or SimpleCell. If only one of the two has
            a bias, it is PyTorch's sum.

    Returns:
        Layouts by JAX's names.
    """
    sides = {"dense_i": _INPUT, "dense_h": _HIDDEN}
    layouts = {f"{part}.kernel": (Layout(f"weight_{side}", "i o -> o i"),) for part, side in sides.items()}
    biased = [part for part in sides if getattr(layer, part).bias is not None]
    own = {f"{part}.bias": (Layout(f"bias_{sides[part]}", "o -> o"),) for part in biased}
    return {**layouts, **(own if len(biased) > 1 else {f"{part}.bias": _SUMMED for part in biased})}


def gru_cell(layer: nnx.GRUCell) -> RecurrentLayouts:
    """Return the layouts of a GRU's cell.

    PyTorch multiplies the hidden state's bias by the reset gate; `nnx.GRUCell` has no such bias. The counterpart of a
    PyTorch GRU with biases is a subclass whose `dense_h` has one. Weights are refused for want of `bias_hh` otherwise.

    Args:
        layer: The cell.

    Returns:
        Layouts by JAX's names.
    """
    return {**fused_cell(layer), "dense_i.bias": (Layout(f"bias_{_INPUT}", "o -> o"),)}


def lstm_cell(layer: nnx.LSTMCell) -> RecurrentLayouts:
    """Return the layouts of an LSTM's cell with a product for each gate.

    Args:
        layer: The cell.

    Returns:
        Layouts by JAX's names.
    """
    del layer
    layouts = {}
    for index, gate in enumerate("ifgo"):
        part = Part(index, of=4)
        of_input = "if_" if gate == "f" else f"i{gate}"
        layouts[f"{of_input}.kernel"] = (Layout(f"weight_{_INPUT}", "i o -> o i", torch_part=part),)
        layouts[f"h{gate}.kernel"] = (Layout(f"weight_{_HIDDEN}", "i o -> o i", torch_part=part),)
        layouts[f"h{gate}.bias"] = tuple(replace(layout, torch_part=part) for layout in _SUMMED)
    return layouts


CELLS: Mapping[type[nnx.Module], Callable[..., RecurrentLayouts]] = MappingProxyType(
    {
        nnx.OptimizedLSTMCell: fused_cell,
        nnx.SimpleCell: fused_cell,
        nnx.GRUCell: gru_cell,
        nnx.LSTMCell: lstm_cell,
    }
)
"""The cells of Flax that PyTorch also has."""


def sequence(layer: nnx.RNN, suffix: str = "_l0") -> RecurrentLayouts:
    """Return the layouts of a layer that applies a cell along a sequence.

    Args:
        layer: The layer.
        suffix: What PyTorch appends to the names of its cell: of a deeper level, say `_l1`.

    Returns:
        Layouts by JAX's names; none if the type of the cell has no rule.
    """
    rule = next((CELLS[kind] for kind in type(layer.cell).__mro__ if kind in CELLS), None)
    of_cell = rule(layer.cell) if rule else {}
    return {
        f"cell.{leaf}": tuple(replace(layout, name=layout.name + suffix) for layout in layouts)
        for leaf, layouts in of_cell.items()
    }


def bidirectional(layer: nnx.Bidirectional) -> RecurrentLayouts:
    """Return the layouts of a layer that reads a sequence in both directions.

    Args:
        layer: The layer.

    Returns:
        Layouts by JAX's names.
    """
    directions = {"forward_rnn": "_l0", "backward_rnn": "_l0_reverse"}
    return {
        f"{part}.{leaf}": layouts
        for part, suffix in directions.items()
        for leaf, layouts in sequence(getattr(layer, part), suffix).items()
    }
