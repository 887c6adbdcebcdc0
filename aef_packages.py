"""Say which package hides one of this project's: others have packages called `configs` or `parity` too."""

from importlib.util import find_spec
from pathlib import Path


def require(*packages: str) -> None:
    """Check that packages of this project are found under their names. None of them is imported.

    Args:
        packages: Names of packages that are installed beside this file.

    Raises:
        ImportError: Python finds another package under one of the names, or none.
    """
    here = Path(__file__).resolve().parent
    for package in packages:
        spec = find_spec(package)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin != here / package / "__init__.py":
            found = f"{origin or 'nothing'} comes first on sys.path"
            raise ImportError(
                f"aef needs its own package '{package}', {here / package}, but {found}: "
                "rename that one, or start Python where it is not found",
                name=package,
            )
