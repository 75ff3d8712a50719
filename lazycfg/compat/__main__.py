"""``python -m lazycfg.compat [--force] script.py ...``: run a program written for detectron2 on lazycfg.

Everything after the script (or after ``-m module``) is the program's own.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

__all__ = ["main"]

_USAGE = (
    "usage: python -m lazycfg.compat [--force] SCRIPT.py [ARGUMENT ...]\n"
    "       python -m lazycfg.compat [--force] -m MODULE [ARGUMENT ...]\n"
    "\n"
    "Run a program that imports detectron2 on lazycfg, unchanged.\n"
    "\n"
    "  --force   also where detectron2 itself is installed, which is used otherwise"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Switch the alias on and run a script or a module as ``__main__``; return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    force = bool(given) and given[0] == "--force"
    if force:
        given.pop(0)
    if given and given[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    as_module = bool(given) and given[0] == "-m"
    if as_module:
        given.pop(0)
    if not given or given[0].startswith("-"):
        print(_USAGE, file=sys.stderr)
        return 2
    if force:
        os.environ["LAZYCFG_COMPAT"] = "force"  # worker processes of the program, too

    from lazycfg.compat.spawned import pass_on

    sys.argv = given
    pass_on(given[0], is_module=as_module)
    if as_module:
        sys.path[0] = os.getcwd()
        runpy.run_module(given[0], run_name="__main__", alter_sys=True)
    else:
        if not os.path.isfile(given[0]):
            print(f"python -m lazycfg.compat: no file {given[0]}", file=sys.stderr)
            return 2
        sys.path[0] = os.path.dirname(os.path.abspath(given[0]))
        runpy.run_path(given[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
