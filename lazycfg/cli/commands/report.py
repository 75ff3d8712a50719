"""The command `report`: one page about a run, made of the files in its folder."""

from __future__ import annotations

import argparse

from lazycfg.cli.common import CommandError, say

__all__ = ["report"]


def report(arguments: argparse.Namespace) -> int:
    """Write the report of a run, also of one that is running or was killed; torch is not imported.

    Raises:
        CommandError: the folder is not that of a run, or the file cannot be written.
    """
    from lazycfg.reporting import write_report

    try:
        path = write_report(arguments.folder, arguments.output)
    except OSError as error:
        raise CommandError(str(error)) from error
    say(path)
    return 0
