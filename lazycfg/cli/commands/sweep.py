"""The command `sweep`: print or run the command lines of many runs."""

from __future__ import annotations

import argparse
import copy
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from lazycfg.cli.common import CommandError, find_config, load_config, loading_options, split_words

__all__ = ["product_of", "sweep"]

_OUTPUT_DIR = "train.output_dir="


def sweep(arguments: argparse.Namespace) -> int:
    """Print, or run, the command lines of a sweep.

    Raises:
        CommandError: there are no points, or more than the config file.
    """
    others, overrides = split_words(arguments.words)
    if others:
        raise CommandError(f"not an override: {' '.join(others)}")
    runs = list(_from_file(arguments.file)) if arguments.file else [[]]
    combined = [[*run, *choice] for run in runs for choice in product_of(overrides)]
    if arguments.set_file:
        raise CommandError(
            "a sweep runs the config file itself: import the other file in a config of your own"
        )
    # a wrong override is found before anything starts
    configs = _configs(arguments, combined)
    folders = [_output_dir(cfg) for cfg in configs]
    _refuse_duplicates(combined, configs)
    if len(combined) > 1:
        combined = _apart(combined, folders)
    file = find_config(arguments.config)
    if arguments.command is None:
        command = [sys.executable, "-m", "lazycfg", "train", file]
    else:
        command = [*shlex.split(arguments.command), "--config-file", file]
    trust = [*(["--trusted"] if arguments.trusted else []), *(f"--allow={name}" for name in arguments.allow)]
    for run in combined:
        line = [*command, *trust, *run]
        print(shlex.join(line), flush=True)
        if arguments.run and (status := subprocess.run(line, check=False).returncode):
            print(f"lazycfg: that run ended with status {status}", file=sys.stderr)
            if not arguments.keep_going:
                return status
    return 0


def _configs(arguments: argparse.Namespace, runs: list[list[str]]) -> list[Any]:
    """Return the config of each run; the file is read once."""
    from lazycfg.config.editing.overrides import OverrideError, apply_overrides
    from lazycfg.config.loading.load import load

    options = loading_options(arguments)
    base = load_config(arguments.config, **options)
    found = []
    for run in runs:
        try:
            found.append(apply_overrides(copy.deepcopy(base), run, load_file=load))
        except OverrideError:  # perhaps because an import is needed: it says so itself otherwise
            found.append(load_config(arguments.config, run, **options))
    return found


def _refuse_duplicates(runs: list[list[str]], configs: list[Any]) -> None:
    """Refuse two runs of one config, of which the second would only repeat the first."""
    from lazycfg.config.editing.grammar import parse_override
    from lazycfg.config.editing.matching import has_wildcard
    from lazycfg.config.errors import ConfigError, PathError
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.paths import parse_path
    from lazycfg.inspection.hashing import hash_of

    texts = dict.fromkeys(text for run in runs for text in run)
    paths = {parse_override(text).path for text in texts}
    plain = not any(has_wildcard(parse_path(path)) for path in paths)

    def value(cfg: Any, path: str) -> str | None:
        try:
            return hash_of([get_path(cfg, path, resolve=False)])
        except PathError:  # deleted
            return None

    first: dict[Any, list[str]] = {}
    for run, cfg in zip(runs, configs, strict=True):
        try:
            key = tuple(value(cfg, path) for path in sorted(paths)) if plain else hash_of(cfg)
        except ConfigError:  # holds what cannot be written out: nothing is known about it
            continue
        if key in first:
            raise CommandError(f"two runs are the same: {shlex.join(first[key])} and {shlex.join(run)}")
        first[key] = run


def _output_dir(cfg: Any) -> str | None:
    """Return where a run of the config writes; None when it does not say."""
    from lazycfg.config.errors import ConfigError
    from lazycfg.config.tree.access import get_path
    from lazycfg.config.tree.required import is_required

    try:
        folder = get_path(cfg, "train.output_dir")
    except ConfigError:
        return None
    return folder if isinstance(folder, str) and not is_required(folder) else None


def _apart(runs: list[list[str]], folders: list[str | None]) -> list[list[str]]:
    """Return the runs, with a folder of its own for each that would write where another one does."""
    from lazycfg.config.editing.grammar import parse_value
    from lazycfg.inspection.override_text import format_value

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
    """Yield all combinations of ``key=a,b,c``: commas outside brackets and quotes separate the choices."""
    from lazycfg.config.editing.grammar import find_equals
    from lazycfg.config.tree.interpolation import split_at_commas

    choices = []
    for text in overrides:
        at = find_equals(text) + 1
        choices.append([text[:at] + part for part in split_at_commas(text[at:])] if at else [text])
    for combination in itertools.product(*choices):
        yield list(combination)


def _from_file(file: str) -> Iterator[list[str]]:
    """Yield the overrides that the generator ``sweep()`` of a Python file yields."""
    from lazycfg.config.loading.load import load

    generate = load(file, "sweep")
    for run in generate():
        yield [run] if isinstance(run, str) else [str(text) for text in run]
