"""Section `weights`: the tensors of the two checkpoints."""

import numpy as np

from parity.aef.check.check_input import CheckInput
from parity.aef.check.settings import Settings
from parity.report.report import Check, Section

SHOWN = 10


def weights(check_input: CheckInput, settings: Settings) -> Section:
    """Compare the weights tensor by tensor, exactly.

    Args:
        check_input: What is compared.
        settings: Not used.

    Returns:
        The section.
    """
    del settings
    different = [name for name, array in check_input.torch.items() if not np.array_equal(array, check_input.jax[name])]
    reason = "converted weights are the same bits"
    equal = Check(f"tensors that differ, of {len(check_input.torch)}", len(different), 0, reason)
    more = [f"and {len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return Section("weights", "The weights of both", [equal], notes=[*different[:SHOWN], *more])
