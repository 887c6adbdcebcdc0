"""Run `aef-parity` as `python -m parity.cli`."""

import sys

from parity.cli import main

if __name__ == "__main__":
    sys.exit(main())
