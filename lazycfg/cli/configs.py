"""What the commands have in common: finding and loading configs, telling overrides from paths."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

__all__ = [
    "CommandError",
    "find_config",
    "load_config",
    "say",
    "split_words",
    "wants_colour",
    "zoo_folder",
]


class CommandError(Exception):
    """A mistake in the command line; shown without a traceback."""


def zoo_folder() -> Path:
    """Return the folder of the model zoo."""
    from lazycfg import model_zoo

    return Path(next(iter(model_zoo.__path__)))


def find_config(name: str) -> str:
    """Return a config file by its path, or by its name in the model zoo.

    Raises:
        CommandError: there is neither.
    """
    if os.path.isfile(name):
        return name
    in_zoo = zoo_folder() / name
    if in_zoo.is_file():
        return str(in_zoo)
    raise CommandError(f"no config file {name!r}, also not in the model zoo{_near(name)}")


def _near(name: str) -> str:
    """Return the end of a message: the file that may have been meant, beside the one named or in the model
    zoo.
    """
    from lazycfg.config.formats.files import SUFFIXES
    from lazycfg.config.suggest import closest_name

    if os.path.isdir(name):
        return ", but a folder"
    beside = Path(os.path.dirname(name) or ".")
    local = [str(p) for p in beside.iterdir() if p.suffix.lower() in SUFFIXES] if beside.is_dir() else []
    folder = zoo_folder()
    known = [p.relative_to(folder).as_posix() for p in folder.rglob("*.py") if p.name != "__init__.py"]
    near = closest_name(name, local, 0.75)
    if near is None and not os.path.dirname(name):
        by_file = {os.path.basename(path): path for path in known}
        near = by_file.get(closest_name(name, by_file, 0.75) or "")
    near = near or closest_name(name, known, 0.75)
    return f"; did you mean {near!r}?" if near else ""


def load_config(
    name: str,
    overrides: Sequence[str] = (),
    *,
    real: bool = False,
    trusted: bool = False,
    allow: Sequence[str] = (),
) -> Any:
    """Load a config and apply overrides; imports are deferred unless ``real``, or an override needs them.
    ``allow`` are names that a data file may have besides the usual ones.
    """
    from lazycfg.config.editing.overrides import OverrideError, apply_overrides
    from lazycfg.config.formats.files import format_of
    from lazycfg.config.loading.load import load
    from lazycfg.config.trust import DEFAULT_ALLOW

    file = find_config(name)
    if real:
        cfg = load(file, trusted=trusted, allow=(*DEFAULT_ALLOW, *allow))
        return apply_overrides(cfg, overrides) if overrides else cfg
    from lazycfg.config.loading.stand_ins import StandIn
    from lazycfg.config.loading.without_importing import read_file

    if format_of(file) != "py":
        cfg = _load_names_only(file, trusted)
    else:
        try:
            cfg = read_file(file)
        except Exception:  # perhaps of a stand-in that cannot do what its object does; else it comes again
            cfg = load(file)
    try:
        if overrides:
            apply_overrides(cfg, overrides, resolve_import=lambda text: StandIn(_split_name(text)))
    except OverrideError:
        # Perhaps a stand-in has not the parts of its object: judged with its imports made, as when it is run.
        # What a data file names is not imported to look at it.
        if format_of(file) != "py":
            raise
        return apply_overrides(load(file), overrides)
    return cfg


def _load_names_only(file: str, trusted: bool) -> Any:
    """Load a data file with its names as stand-ins: nothing is imported and nothing is run."""
    from lazycfg.config.formats.files import read_data_file
    from lazycfg.config.loading.stand_ins import NEVER
    from lazycfg.config.loading.without_importing import StandInDecoder
    from lazycfg.config.trust import TRUST_ALL

    decoder = functools.partial(StandInDecoder, reading=NEVER)
    return read_data_file(file, policy=TRUST_ALL, trusted=trusted, decoder=decoder)


def _split_name(text: str) -> tuple[str, str]:
    module, _, name = text.rpartition(".")
    if not module or not all(part.isidentifier() for part in text.split(".")):
        raise CommandError(f"{text!r} is not of the form package.module.name")
    return module, name


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split words into (others, overrides): an override has a ``=`` after its key or begins with ``~``."""
    from lazycfg.config.editing.grammar import find_equals

    others: list[str] = []
    overrides: list[str] = []
    for word in words:
        (overrides if word.startswith("~") or find_equals(word) >= 0 else others).append(word)
    return others, overrides


def say(what: object, *, file: TextIO | None = None) -> None:
    """Print text, with control characters escaped."""
    from lazycfg.config.tree.repr import printable

    print(printable(str(what)), file=file)


def wants_colour(choice: str) -> bool:
    """Return whether to print colours: ``always``, ``never``, or as the terminal decides."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
