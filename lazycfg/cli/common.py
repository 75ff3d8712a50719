"""What the commands have in common: finding and loading configs, telling overrides from paths."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

__all__ = [
    "CommandError",
    "file_loader",
    "find_config",
    "load_config",
    "loading_options",
    "look_at",
    "message_of",
    "mistakes",
    "one_path",
    "say",
    "say_lines",
    "size_option",
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
    """Return a config file by its path, by the folder of a run, or by its name in the model zoo.

    Raises:
        CommandError: there is none of them.
    """
    if os.path.isfile(name):
        return name
    if os.path.isfile(of_run := os.path.join(name, "config.yaml")):
        return of_run
    for in_zoo in (zoo_folder() / name, zoo_folder() / f"{name.removesuffix('.yaml')}.py"):
        if in_zoo.is_file():
            return str(in_zoo)
    raise CommandError(f"no config file {name!r}, also not in the model zoo{_near(name)}")


def _near(name: str) -> str:
    """Return the end of the message: the file that may have been meant, beside the one named or in the model
    zoo.
    """
    from lazycfg.config.formats.files import SUFFIXES
    from lazycfg.config.suggest import closest_name

    if os.path.isdir(name):
        return ", but a folder without the config.yaml of a run"
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


def file_loader(*, trusted: bool = False, allow: Sequence[str] = (), **_: Any) -> Callable[[str], Any]:
    """Return a function that loads a config file, with the trust that the options of a command give."""
    from lazycfg.config.loading.load import load
    from lazycfg.config.trust import DEFAULT_ALLOW

    return functools.partial(load, trusted=trusted, allow=(*DEFAULT_ALLOW, *allow))


def load_config(
    name: str,
    overrides: Sequence[str] = (),
    *,
    real: bool = False,
    trusted: bool = False,
    allow: Sequence[str] = (),
    set_files: Sequence[str] = (),
) -> Any:
    """Load a config, merge files into it and apply overrides.

    Args:
        name: a file, or the name of one in the model zoo.
        overrides: texts such as ``"model.depth=101"``.
        real: import what the config names; by default that is put off until an override needs it.
        trusted: take data files to be as trusted as code.
        allow: names that a data file may have besides the usual ones.
        set_files: config files that are merged into it, in this order, before the overrides.
    """
    from lazycfg.config.editing.overrides import OverrideError, apply_overrides
    from lazycfg.config.formats.files import format_of
    from lazycfg.config.tree.merging import merge
    from lazycfg.without_importing.stand_ins import StandIn

    files = [find_config(name), *map(find_config, set_files)]

    def loaded(read: Callable[[str], Any]) -> Any:
        first, *others = map(read, files)
        return merge(first, *others) if others else first

    load_file = file_loader(trusted=trusted, allow=allow)

    def read_file(file: str) -> Any:
        return _read(file, trusted)

    if real:
        cfg = loaded(load_file)
        return apply_overrides(cfg, overrides, load_file=load_file) if overrides else cfg
    cfg = loaded(read_file)
    if not overrides:
        return cfg
    try:
        resolve_import = functools.partial(_named, StandIn)
        return apply_overrides(cfg, overrides, resolve_import=resolve_import, load_file=read_file)
    except OverrideError:
        # Perhaps a stand-in has not the parts of its object: judged with its imports made, as when it is run.
        # What a data file names is not imported to look at it.
        if any(format_of(file) != "py" for file in files):
            raise
        return apply_overrides(loaded(load_file), overrides, load_file=load_file)


def _read(file: str, trusted: bool) -> Any:
    """Load a config without importing what it names; a data file runs nothing."""
    from lazycfg.config.formats.files import format_of, read_data_file
    from lazycfg.config.loading.load import load
    from lazycfg.config.trust import TRUST_ALL
    from lazycfg.without_importing.files import StandInDecoder, read_file
    from lazycfg.without_importing.stand_ins import NEVER

    if format_of(file) != "py":
        decoder = functools.partial(StandInDecoder, reading=NEVER)
        return read_data_file(file, policy=TRUST_ALL, trusted=trusted, decoder=decoder)
    try:
        return read_file(file)
    except Exception:  # perhaps of a stand-in that cannot do what its object does; else it comes again
        return load(file)


def _named(stand_in: Callable[[tuple[str, str]], Any], text: str) -> Any:
    return stand_in(_split_name(text))


def _split_name(text: str) -> tuple[str, str]:
    module, _, name = text.rpartition(".")
    if not module or not all(part.isidentifier() for part in text.split(".")):
        raise CommandError(f"{text!r} is not of the form package.module.name")
    return module, name


def split_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (other words, overrides): an override has a ``=`` after its key or begins with ``~``."""
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


def say_lines(text: object) -> None:
    """Print lines of prose; on a terminal those that are longer than it is wide are wrapped between words."""
    import shutil
    import textwrap

    lines = str(text).split("\n")
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        wrapped = []
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            wrapped += textwrap.wrap(
                line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            ) or [""]
        lines = wrapped
    say("\n".join(lines))


@contextmanager
def mistakes(arguments: argparse.Namespace) -> Iterator[None]:
    """Tell what the library raises of settings, weights and data as a mistake, without the place in its code;
    for commands that run a config.

    Raises:
        CommandError: with the message.
    """
    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, WeightsMismatchError
    from lazycfg.data import AnnotationError, ImageError
    from lazycfg.engine import SettingsError
    from lazycfg.utils.video import VideoError

    files = (CheckpointError, UnsafeFileError, WeightsMismatchError)
    try:
        yield
    except (SettingsError, AnnotationError, ImageError, VideoError, *files) as error:
        if arguments.traceback:
            raise
        raise CommandError("\n  ".join([message_of(error), *getattr(error, "__notes__", ())])) from error


def message_of(error: BaseException) -> str:
    """Return what an error says to who typed a command: remedies are overrides and options."""
    from lazycfg.checkpoint import WeightsMismatchError
    from lazycfg.config.trust import UntrustedError
    from lazycfg.engine.problems import PreflightError, short_text

    if isinstance(error, UntrustedError):
        return error.with_options()
    if isinstance(error, PreflightError):
        return error.on_command_line()
    if isinstance(error, WeightsMismatchError):
        text = str(error).replace(error.advice, "", 1)
        return f"{text}\n  remedy: give the config that these weights were trained with, or the run's folder"
    return str(error) if isinstance(error, CommandError) else short_text(error)


def wants_colour(choice: str) -> bool:
    """Return whether to print colours: ``always``, ``never``, or by the terminal."""
    if choice != "auto":
        return choice == "always"
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def one_path(words: list[str], *, required: bool) -> tuple[str, list[str]]:
    """Return the path among words, and the other words.

    Raises:
        CommandError: there are several, or none and one is required.
    """
    paths, overrides = split_words(words)
    if len(paths) > 1 or (required and not paths):
        given = f"{len(paths)} were given: {' '.join(paths)}" if paths else "none was given"
        raise CommandError(f"one config path is expected after the config, {given}")
    path = paths[0] if paths else ""
    return path.removesuffix("."), overrides  # completion ends the path of a part with a dot


def loading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a command that `load_config` takes."""
    return {
        "trusted": arguments.trusted,
        "allow": arguments.allow,
        "set_files": arguments.set_file,
    }


def look_at(arguments: argparse.Namespace, overrides: list[str], look: Callable[[Any], Any]) -> Any:
    """Return what ``look`` finds in the config. Where a path leads into an object that is only deferred, the
    imports are made; what a data file names is not imported to look at it.
    """
    from lazycfg.config.errors import PathError

    options = loading_options(arguments)
    cfg = load_config(arguments.config, overrides, **options)
    try:
        return look(cfg)
    except PathError:
        if not find_config(arguments.config).endswith(".py"):
            raise
        return look(load_config(arguments.config, overrides, real=True, **options))


def size_option(name: str, text: str, form: str) -> tuple[int, int]:
    """Return (height, width) of the value of an option, ``800x1333`` or ``800``.

    Args:
        name, form: the option, and what it takes, for the message.

    Raises:
        CommandError: the text is of another form.
    """
    height, _, width = text.lower().partition("x")
    try:
        size = int(height), int(width or height)
    except ValueError:
        size = (0, 0)
    if min(size) <= 0:
        raise CommandError(f"{name} {text!r} is not of the form {form}")
    return size
