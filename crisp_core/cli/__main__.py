"""Starts the program with `python -m crisp_core.cli`."""

import sys

from crisp_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
