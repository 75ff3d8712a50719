"""detectron2's YAML configs: what their keys mean, and the configs of ours that build the same.

`read_yaml` gives the keys that a file sets, `defaults` all keys there are, `translate` makes a config of
keys, `convert` the text of a config file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lazycfg.convert.result import Converted, ConvertError
from lazycfg.convert.writing import write_config
from lazycfg.convert.yacs.defaults import PROJECTS, core_defaults, defaults
from lazycfg.convert.yacs.keys import Keys, flat, with_overrides
from lazycfg.convert.yacs.reading import places_of, read_yaml
from lazycfg.convert.yacs.translate import Translation, translate, translate_all, translated
from lazycfg.convert.yacs.versions import upgrade

__all__ = [
    "PROJECTS",
    "ConvertError",
    "Keys",
    "Translation",
    "convert",
    "core_defaults",
    "defaults",
    "flat",
    "read_yaml",
    "recognises",
    "translate",
    "translated",
    "upgrade",
    "with_overrides",
]


def recognises(path: Path) -> bool:
    """Return whether a YAML file has keys of detectron2."""
    try:
        given = read_yaml(path)
    except ConvertError:
        return b"_BASE_" in path.read_bytes()  # its error says what is wrong with it
    return not given.keys().isdisjoint(key for key in core_defaults() if key.isupper())


def convert(path: Path, overrides: Sequence[str] = (), ignore: Sequence[str] = ()) -> Converted:
    """Return a YAML config as a config file of ours.

    Args:
        path: the file.
        overrides: keys and values in turn, ``["SOLVER.BASE_LR", "0.01"]``.
        ignore: keys or sections of a program's own to leave out; see `Keys`.

    Raises:
        ConvertError: keys or names are not known, all of them with their lines; or values do not go together.
    """
    given = with_overrides(read_yaml(path), overrides)
    places = places_of(path) | {key: "--opts" for key, _ in flat(with_overrides({}, overrides))}
    found = translate_all(given, {}, str(path), places, ignore)
    how = [f"Converted with {' '.join(overrides)}."] if overrides else []
    title = f"{path.name} of detectron2, converted by lazycfg."
    text = write_config(title, found.parts, [*how, *found.remarks], found.spellings)
    return Converted(text, found.remarks)
