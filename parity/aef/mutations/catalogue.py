"""All mutations."""

from parity.aef.mutations.encoder import BLOCKS, MODEL, OPERATORS, SUMMARY
from parity.aef.mutations.layers import ATTENTION, LAYERS
from parity.aef.mutations.objective import BOTTLENECK, DECODERS, LOSSES, OBJECTIVE
from parity.aef.mutations.optimizer import OPTIMIZER

CATALOGUE = [
    *LAYERS, *ATTENTION, *OPERATORS, *BLOCKS, *SUMMARY, *MODEL,
    *DECODERS, *BOTTLENECK, *LOSSES, *OBJECTIVE, *OPTIMIZER,
]  # fmt: skip
