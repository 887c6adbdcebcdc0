"""The data of a training step, and the letters of shapes that all signatures use.

B sequences, N frames of one source, S of them that the student sees, T frames of all sources, P valid periods, H x W
pixels, C bands, D numbers of an embedding, K of a timecode, K2 = 2*K of a period, R of a relative timecode, M of
metadata, E of a sentence embedding.

The host draws every random choice (targets, periods, dropped frames) and stores it in the batch. A step is therefore a
pure function of parameters, batch and the bottleneck's noise, in both frameworks.

Arrays may be NumPy's, JAX's or PyTorch's. Both frameworks treat a NamedTuple as a tree.
"""

from typing import Any, NamedTuple

from configs.model import PIXELS_PER_SPACE_CELL


class Frames(NamedTuple):
    """Frames of one input source, scaled and z-scored. Pixels without data are 0, the mean of their band."""

    pixels: Any  # Float "B N H W C"
    timecodes: Any  # Float "B N K"
    present: Any  # Bool "B N"; the values of an absent frame have no influence
    bands: Any  # Bool "B N C": whether the frame has data in that band anywhere in the tile


class Target(NamedTuple):
    """One frame of one source to reconstruct, and the valid period to reconstruct it from."""

    pixels: Any  # Float "B H W C", scaled and z-scored; class indices, Int "B H W", for a source of classes
    valid: Any  # Bool, the shape of `pixels`: which errors count
    period: Any  # Float "B K2": code of the source's summary period, which contains the acquisition
    time_code: Any  # Float "B R": code of the acquisition time as a fraction of that period; R = 0 for a static map
    metadata: Any  # Float "B M"
    grid_offset: Any  # Int "B 2": shift of a regridded error's grid, in pixels along rows and columns


class Student(NamedTuple):
    """Which frames of one source the student sees. Its pass computes these only."""

    index: Any  # Int "B S": indices of the source's frames; S is the source's `student_budget`
    present: Any  # Bool "B S"


class Text(NamedTuple):
    """One text point per tile; some tiles have none."""

    sentence: Any  # Float "B E": embedding of a frozen language model
    pixel: Any  # Int "B 2": row and column within the tile
    period: Any  # Float "B K2": code of the text's summary period
    present: Any  # Bool "B"; the values of an absent text have no influence


class Batch(NamedTuple):
    """Data of one training step. The student's frames are a subset of the teacher's."""

    frames: dict[str, Frames]
    student: dict[str, Student]
    targets: dict[str, Target]
    shared_period: Any  # Float "B K2": code of the valid period for which teacher and student are compared
    text: Text | None = None
    """None if the data set has no texts."""


class BottleneckNoise(NamedTuple):
    """Random numbers of the von Mises-Fisher samples. A step has no other randomness on the device."""

    radial: Any  # Float "*N": 1 - w, with w the cosine of sample and mean direction
    direction: Any  # Float "*N D": standard normal; its part orthogonal to the mean is the tangent direction


def validate_frames(frames: dict[str, Frames], inputs: tuple[str, ...]) -> None:
    """Check that a model can encode frames.

    Args:
        frames: frames by source name.
        inputs: names of the model's input sources.

    Raises:
        ValueError: there are no frames, a source is not an input, has no frame slot, or a tile side is not a multiple
            of 16.
    """
    unknown = sorted(set(frames) - set(inputs))
    if unknown or not frames:
        raise ValueError(f"frames are of {unknown or 'no source'}, expected some of the input sources {list(inputs)}")
    for name, (pixels, *_) in frames.items():
        if pixels.shape[1] == 0:
            raise ValueError(f"source {name}: there is no frame slot, expected at least one, if absent")
        if any(side % PIXELS_PER_SPACE_CELL for side in pixels.shape[2:4]):
            raise ValueError(
                f"source {name}: a tile has {pixels.shape[2]} x {pixels.shape[3]} pixels,"
                f" expected multiples of {PIXELS_PER_SPACE_CELL}"
            )
