"""Run the command line as `python -m landscape_compat`."""

import sys

from landscape_compat.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
