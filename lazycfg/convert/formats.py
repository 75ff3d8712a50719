"""The formats that can be converted."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lazycfg.config.suggest import closest
from lazycfg.convert.result import Converted, ConvertError

__all__ = ["FORMATS", "Format", "convert", "format_of_source"]


class Format(NamedTuple):
    """One format.

    Attributes:
        name: as ``--from`` takes it.
        module: with ``recognises(path) -> bool`` and ``convert(path, overrides) -> Converted``. The overrides
            are words of a command line, in the format's own spelling.
        suffixes: of its files.
        what: it is, for messages.
    """

    name: str
    module: str
    suffixes: tuple[str, ...]
    what: str


FORMATS: tuple[Format, ...] = (
    Format("yacs", "lazycfg.convert.yacs", (".yaml", ".yml"), "a YAML config of detectron2 (yacs)"),
    Format("lazy", "lazycfg.convert.lazy_files", (".py",), "a lazy config file of detectron2"),
    Format("hydra", "lazycfg.convert.hydra", (".yaml", ".yml"), "a primary config of hydra"),
    Format("mmengine", "lazycfg.convert.mmengine", (".py", ".yaml", ".yml", ".json"), "a config of mmengine"),
    Format("fiddle", "lazycfg.convert.fiddle", (), "a config of fiddle, written module:function"),
)


def format_of_source(path: Path) -> Format:
    """Return the format of a file, by its suffix and by what is in it.

    Raises:
        ConvertError: there is no such file, or it is in none of the formats.
    """
    if is_function(path):
        return next(known for known in FORMATS if known.name == "fiddle")
    if not path.is_file():
        raise ConvertError(f"there is no file {str(path)!r}")
    candidates = [known for known in FORMATS if path.suffix.lower() in known.suffixes]
    for known in candidates:
        if importlib.import_module(known.module).recognises(path):
            return known
    names = ", ".join(f"{known.name}, {known.what}" for known in FORMATS)
    raise ConvertError(f"{path} is in none of the formats that are known ({names}); name one with --from")


def is_function(path: Path) -> bool:
    """Return whether a source is no file, but `module:function`."""
    return not path.is_file() and re.fullmatch(r"[\w.]+:\w+", str(path)) is not None


def convert(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    format: str | None = None,
    scopes: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Converted:
    """Return a config of another system as a config file of ours.

    Args:
        path: the file.
        overrides: words of a command line in the spelling of the other system.
        format: the name of its format; by default it is recognised.
        scopes: modules, or `Name=package.module.Name`: where a format that has names without their modules
            (mmengine) has them from.
        ignore: keys or sections of a program's own that are left out of a YAML config of detectron2, with
            wildcards: ``MODEL.MINE.*``.

    Raises:
        ConvertError: the format is not known, or something in the file cannot be converted.
    """
    if format is None:
        found = format_of_source(path)
    else:
        by_name = {known.name: known for known in FORMATS}
        if format not in by_name:
            raise ConvertError(f"unknown format {format!r}{closest(format, by_name)}")
        found = by_name[format]
        if not path.is_file() and not is_function(path):
            raise ConvertError(f"there is no file {str(path)!r}")
    if scopes and found.name != "mmengine":
        raise ConvertError(f"--scope is for names of mmengine; {path} is {found.what}")
    if ignore and found.name != "yacs":
        raise ConvertError(f"--ignore is for keys of YAML configs of detectron2; {path} is {found.what}")
    more = {"scopes": scopes} if scopes else {"ignore": ignore} if ignore else {}
    converted: Converted = importlib.import_module(found.module).convert(path, overrides, **more)
    return converted
