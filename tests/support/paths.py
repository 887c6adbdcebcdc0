"""Where tests find the repository, the programs that they run, and real imagery that a clone does not have."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / "tests" / "support" / "programs"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
