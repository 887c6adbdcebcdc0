"""What a training step reads: the batch, in the letters that all signatures use.

B sequences, N frames of one source, S of them that the student sees, T frames of all sources, P valid periods, H x W
pixels, C bands, D numbers of an embedding, K numbers of a timecode, R of a relative timecode, M of metadata. Every
random choice (targets, periods, dropped frames) was drawn on the host and lies in the batch; so a step is a pure
function of parameters, batch and the bottleneck's noise, in either framework.

The arrays are NumPy's, JAX's or PyTorch's alike; a NamedTuple is a tree to both frameworks.
"""

from typing import Any, NamedTuple

from configs.model import PIXELS_PER_SPACE_CELL


class Frames(NamedTuple):
    """The frames of one input source, scaled and z-scored; a pixel without data holds 0, the mean of its band."""

    pixels: Any  # Float "B N H W C"
    timecodes: Any  # Float "B N K"
    present: Any  # Bool "B N"; what an absent frame holds has no influence on anything


class Target(NamedTuple):
    """One frame to be reconstructed, of one source, and the valid period it is reconstructed from."""

    pixels: Any  # Float "B H W C", scaled and z-scored; or the class index, Int "B H W"
    valid: Any  # Bool, the shape of `pixels`: where the error counts
    period: Any  # Float "B 2K": code of the source's own summary period, which contains the acquisition
    time_code: Any  # Float "B R": code of the acquisition's fraction of that period; width 0 for a static source
    metadata: Any  # Float "B M"
    grid_offset: Any  # Int "B 2": pixels by which the grid of a regridded error is moved, rows and columns


class Student(NamedTuple):
    """Which of one source's frames the student sees, side by side, so that its pass costs what it sees."""

    index: Any  # Int "B S": into the source's frames; S is the source's `student_budget`
    present: Any  # Bool "B S"


class Text(NamedTuple):
    """One text point of each tile that has one."""

    sentence: Any  # Float "B E": embedding of a frozen language model
    pixel: Any  # Int "B 2": row and column within the tile
    period: Any  # Float "B 2K": code of the text's own summary period
    present: Any  # Bool "B"; what an absent text holds has no influence on anything


class Batch(NamedTuple):
    """One training step's data. The student's frames are some of the teacher's."""

    frames: dict[str, Frames]
    student: dict[str, Student]
    targets: dict[str, Target]
    shared_period: Any  # Float "B 2K": the valid period over which teacher and student are compared
    text: Text | None = None
    """None where the data hold no text at all."""


class BottleneckNoise(NamedTuple):
    """The draws behind a von Mises-Fisher sample: all the randomness that a step has on the device."""

    radial: Any  # Float "*N": 1 - w, w the cosine between sample and mean direction
    direction: Any  # Float "*N D": standard normal; its part orthogonal to the mean gives the tangent direction


def check_frames(frames: dict[str, Frames], inputs: tuple[str, ...]) -> None:
    """Raises ValueError, with one sentence, where `frames` cannot be encoded."""
    unknown = sorted(set(frames) - set(inputs))
    if unknown or not frames:
        raise ValueError(f"frames are of {unknown or 'no source'}, expected some of the input sources {list(inputs)}")
    for name, (pixels, _, _) in frames.items():
        if pixels.shape[1] == 0:
            raise ValueError(f"source {name}: there is no frame slot, expected at least one, if absent")
        if any(side % PIXELS_PER_SPACE_CELL for side in pixels.shape[2:4]):
            raise ValueError(
                f"source {name}: a tile has {pixels.shape[2]} x {pixels.shape[3]} pixels,"
                f" expected multiples of {PIXELS_PER_SPACE_CELL}"
            )
