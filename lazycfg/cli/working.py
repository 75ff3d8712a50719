"""The commands that import for real or write: save, sweep."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lazycfg.cli.configs import CommandError, find_config, load_config, split_words

__all__ = ["save", "sweep"]

_OUTPUT_DIR = "train.output_dir="


def save(arguments: argparse.Namespace) -> int:
    """Write a config with its overrides to a file, in the format of its suffix.

    Raises:
        CommandError: no file to write is given
    """
    from lazycfg.config.formats.files import format_of
    from lazycfg.config.formats.files import save as write

    others, overrides = split_words(arguments.words)
    if len(others) != 1:
        raise CommandError("save takes the file to write, and overrides")
    format_of(others[0])
    write(
        load_config(arguments.config, overrides, real=True, trusted=arguments.trusted, allow=arguments.allow),
        others[0],
    )
    print(others[0])
    return 0


def sweep(arguments: argparse.Namespace) -> int:
    """Print, or run, the command lines of a sweep.

    Raises:
        CommandError: a word is no override, or there is no script to run
    """
    others, overrides = split_words(arguments.words)
    if others:
        raise CommandError(f"not an override: {' '.join(others)}")
    runs = list(_from_file(arguments.file)) if arguments.file else [[]]
    combined = [[*run, *choice] for run in runs for choice in product_of(overrides)]
    # a wrong override is found before anything starts
    folders = [
        _output_dir(load_config(arguments.config, run, trusted=arguments.trusted, allow=arguments.allow))
        for run in combined
    ]
    if len(combined) > 1:
        combined = _apart(combined, folders)
    command = _train_command() if arguments.command is None else shlex.split(arguments.command)
    file = find_config(arguments.config)
    trust = [*(["--trusted"] if arguments.trusted else []), *(f"--allow={name}" for name in arguments.allow)]
    for run in combined:
        line = [*command, "--config-file", file, *trust, *run]
        print(shlex.join(line), flush=True)
        if arguments.run and (status := subprocess.run(line, check=False).returncode):
            print(f"lazycfg: that run ended with status {status}", file=sys.stderr)
            if not arguments.keep_going:
                return status
    return 0


def _train_command() -> list[str]:
    """Return how `tools/train_net.py` is started from any folder."""
    script = Path(__file__).resolve().parents[2] / "tools" / "train_net.py"
    if not script.is_file():
        raise CommandError(f"there is no {script}; say what runs a config: --command 'python my_train.py'")
    return [sys.executable, str(script)]


def _output_dir(cfg: Any) -> str | None:
    """Return where a run of the config writes; None when it does not say."""
    from lazycfg.config.errors import ConfigError
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.node import is_required

    try:
        folder = get_path(cfg, "train.output_dir")
    except ConfigError:
        return None
    return folder if isinstance(folder, str) and not is_required(folder) else None


def _apart(runs: list[list[str]], folders: list[str | None]) -> list[list[str]]:
    """Return the runs, with a folder of its own for each that would write where another one does."""
    from lazycfg.config.editing.grammar import format_value, parse_value

    found, taken = [], {folder for folder in folders if folder is not None and folders.count(folder) == 1}
    for number, (run, folder) in enumerate(zip(runs, folders, strict=True)):
        if folder is None or folders.count(folder) == 1:
            found.append(run)
            continue
        kept = [text for text in run if not text.startswith(_OUTPUT_DIR)]
        differing = [text for text in kept if any(text not in other for other in runs)]
        name = re.sub(r"[^\w.+-]+", "_", " ".join(differing)).strip("._")[:100] or str(number)
        mine = f"{folder.rstrip('/')}/{name}"
        if mine in taken:
            mine += f"-{number}"
        taken.add(mine)
        found.append([*kept, f"{_OUTPUT_DIR}{mine if parse_value(mine) == mine else format_value(mine)}"])
    return found


def product_of(overrides: Iterable[str]) -> Iterator[list[str]]:
    """Return all combinations of ``key=a,b,c``: commas outside brackets and quotes separate the choices."""
    choices = []
    for text in overrides:
        key, equals, value = text.partition("=")
        choices.append([f"{key}{equals}{part}" for part in split_choices(value)] if equals else [text])
    for combination in itertools.product(*choices):
        yield list(combination)


def split_choices(text: str) -> list[str]:
    """Return the parts between commas that stand in no bracket and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[({":
            depth += 1
        elif char in "])}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _from_file(file: str) -> Iterator[list[str]]:
    """Return the overrides that the generator ``sweep()`` of a Python file yields."""
    from lazycfg.config.loading.load import load

    generate = load(file, "sweep")
    for run in generate():
        yield [run] if isinstance(run, str) else [str(text) for text in run]
