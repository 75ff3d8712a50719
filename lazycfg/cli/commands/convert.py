"""The command `convert`: write a config of another system as one of ours."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lazycfg.cli.common import CommandError, say

__all__ = ["convert"]


def convert(arguments: argparse.Namespace) -> int:
    """Write the config file, or print it; what should be known of it goes to standard error.

    Raises:
        CommandError: the file to write is there already, or is no .py file.
    """
    from lazycfg._atomic import atomic_write
    from lazycfg.convert import convert as convert_file

    output = None if arguments.output is None else Path(arguments.output)
    if output is not None:
        if output.suffix != ".py":
            raise CommandError(f"{output} is no .py file, which a config of ours is")
        if output.exists() and not arguments.force:
            raise CommandError(f"{output} is there already; --force writes over it")
        if not output.parent.is_dir():
            raise CommandError(f"there is no folder {output.parent}")
    converted = convert_file(
        Path(arguments.source),
        [*arguments.words, *arguments.opts],
        format=arguments.format,
        scopes=arguments.scope,
        ignore=arguments.ignore,
    )
    for remark in converted.remarks:
        say(remark, file=sys.stderr)
    if output is None:
        print(converted.text, end="")
        if converted.files:
            say(f"it needs {', '.join(converted.files)}, which -o OUT.py writes beside it", file=sys.stderr)
        return 0
    texts = {output.parent / place: text for place, text in converted.files.items()}
    there = [file for file in texts if file.exists()]
    if there and not arguments.force:
        raise CommandError(f"{', '.join(map(str, there))} is there already; --force writes over it")
    for file, text in {**texts, output: converted.text}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            partial.write_text(text, encoding="utf-8")
        say(os.fspath(file))
    return 0
