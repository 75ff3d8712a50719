"""The commands on the model zoo: `ls` lists its configs, `copy` puts one beside your own."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path

from lazycfg.cli.common import CommandError, find_config, say, zoo_folder

__all__ = ["copy", "ls"]

_RELATIVE = re.compile(r"^([ \t]*from[ \t]+)(\.+)([\w.]*)([ \t]+import\b)", re.MULTILINE)


def ls(arguments: argparse.Namespace) -> int:
    """Print the configs of the model zoo, those with all the given words in their names.

    Raises:
        CommandError: no config has these words.
    """
    folder = zoo_folder()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    words = [word.lower() for word in arguments.words]
    shown = [
        name
        for name in names
        if not name.endswith("__init__.py")
        and not name.startswith("common/")
        and all(word in name.lower() for word in words)
    ]
    for name in shown:
        print(name)
    if not shown:
        raise CommandError(
            f"no config of the model zoo has {' and '.join(map(repr, arguments.words))} in its name"
        )
    return 0


def copy(arguments: argparse.Namespace) -> int:
    """Write a config of the model zoo as a file of your own, which goes on importing its bases from there.

    Raises:
        CommandError: the file exists, or the names do not do.
    """
    if len(arguments.words) > 1:
        raise CommandError("copy takes a config of the model zoo, and the file to write")
    if arguments.set_file:
        raise CommandError("copy takes no --set-file: it copies the text of a file; lazycfg save merges")
    source, folder = Path(find_config(arguments.config)), zoo_folder()
    if not source.is_relative_to(folder):
        raise CommandError(f"{arguments.config} is not in the model zoo; copy it with cp")
    written = Path(arguments.words[0]) if arguments.words else Path(source.name)
    if arguments.words and arguments.words[0].endswith(("/", os.sep)) and not written.is_dir():
        raise CommandError(f"there is no folder {written}")
    written = written / source.name if written.is_dir() else written
    if written.suffix != ".py":
        raise CommandError(
            f"{written} is no .py file, which a copy is; lazycfg save takes overrides and formats"
        )
    if written.exists():
        raise CommandError(f"{written} is there already")
    if not written.parent.is_dir():
        raise CommandError(f"there is no folder {written.parent}")
    package = ["lazycfg", "model_zoo", *source.parent.relative_to(folder).parts]

    def absolute(match: re.Match[str]) -> str:
        base = package[: len(package) - len(match[2]) + 1]
        return f"{match[1]}{'.'.join([*base, *([match[3]] if match[3] else [])])}{match[4]}"

    text = _RELATIVE.sub(absolute, source.read_text(encoding="utf-8"))
    with open(written, "x", encoding="utf-8") as stream:
        stream.write(text)
    say(f"wrote {written}; edit it, then: lazycfg check {shlex.quote(str(written))}")
    return 0
