"""Section `weights`: the tensors of the two checkpoints."""

import numpy as np

from parity.aef.check.check_input import Subject
from parity.aef.check.settings import Settings
from parity.report.report import Check, Section

SHOWN = 10


def weights(subject: Subject, settings: Settings) -> Section:
    """Tensor by tensor, to the last bit."""
    del settings
    different = [name for name, array in subject.torch.items() if not np.array_equal(array, subject.jax[name])]
    reason = "converted weights are the same bits"
    check = Check(f"tensors that differ, of {len(subject.torch)}", len(different), 0, reason)
    more = [f"and {len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return Section("weights", "The weights of both", [check], notes=[*different[:SHOWN], *more])
