"""The `lazycfg` command. `lazycfg --help` lists what it can do.

The commands that only read a config load it with deferred imports, so that torch is never imported for them.
"""

from lazycfg.cli.main import main

__all__ = ["main"]
