"""`python -m lazycfg` is the `lazycfg` command."""

import sys

from lazycfg.cli import main

if __name__ == "__main__":
    sys.exit(main())
