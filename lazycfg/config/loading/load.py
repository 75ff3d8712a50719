"""Loading configs: what of a config file's names is its config, and the data formats.

The config of a Python file is a `Node` of its top-level names that are *data*: nodes, dicts, lists, tuples,
sets, numbers, strings, None, paths, enum members, dataclass objects and OmegaConf objects, also those
imported from other config files. Left out are modules, classes, functions and other objects, names with a
leading underscore, and what was imported from ordinary modules (``from math import pi``). A name that is
left out is still there for ``load(path, keys="name")``. A file that defines ``__config__`` says itself what
its config is.

Every exact dict becomes a `Node` and every OmegaConf object is converted; a dict reached twice is one node.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from lazycfg.config.errors import ConfigKeyError
from lazycfg.config.formats.suffixes import SUFFIXES, format_of
from lazycfg.config.loading.session import ImportFunction, Session, imported_from_code, python_import
from lazycfg.config.node import REQUIRED, Node, raw_get, to_nodes
from lazycfg.config.omegaconf_bridge import from_omegaconf, is_omegaconf
from lazycfg.config.provenance.position import Assigned, set_position
from lazycfg.config.suggest import closest
from lazycfg.config.traverse import has_fields
from lazycfg.config.trust import Policy

__all__ = ["load", "load_rel"]

_DATA = (dict, list, tuple, set, frozenset, bool, int, float, complex, str, bytes, PurePath, enum.Enum, Node)


def load(
    path: str | os.PathLike[str],
    keys: str | Iterable[str] | None = None,
    *,
    trusted: bool = False,
    allow: Iterable[Any] | None = None,
    import_absolute: ImportFunction = python_import,
) -> Any:
    """Load a config file: ``.py``, or saved data in ``.yaml`` or ``.json``.

    Args:
        path: the file. A Python file is code, and is run; a data file goes through a safe loader.
        keys: a name: its value is returned; several names: a tuple of their values.
        trusted: take a data file to be as trusted as code: it may name anything and bring source code.
        allow: what a data file may name: packages, modules, classes, functions or names of them; by default
            the components of this library and of torch (`trust.DEFAULT_ALLOW`). A Python file is code, and
            not concerned.
        import_absolute: how a config file imports ordinary modules.

    Returns:
        A `Node` with the config data of the file, new objects at every load; or what ``keys`` ask for.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: its suffix is that of no config.
        ConfigKeyError: the file has no such key.
        UntrustedError: a data file names what is not allowed; all such names are reported.
        Exception: whatever the file raises, with a note that names the chain of importing files.
    """
    file = _existing_file(path)
    if format_of(file) != "py":
        from lazycfg.config.formats.data_files import read_data_file

        namespace: Mapping[str, object] = read_data_file(
            file, policy=None if allow is None else Policy(allow), trusted=trusted
        )
        wanted = None if keys is None else _pick(namespace, keys, file)
        return namespace if wanted is None else _result(wanted, keys)
    module = Session(import_absolute).run(file)
    if keys is None and "__config__" in vars(module):
        config = as_tree({"": vars(module)["__config__"]})
        return raw_get(config, "")
    if keys is None:
        foreign = imported_from_code(module)
        names = {
            name: _settled(value)
            for name, value in vars(module).items()
            if not name.startswith("_") and name not in foreign
        }
        tree = as_tree({name: value for name, value in names.items() if _is_data(name, value)})
        set_position(tree, Assigned(file))
        return tree
    return _result(as_tree(_pick(vars(module), keys, file)), keys)


def load_rel(path: str | os.PathLike[str], keys: str | Iterable[str] | None = None, *, depth: int = 1) -> Any:
    """`load` of a path relative to the file of the calling code (``depth`` frames up).

    Raises:
        RuntimeError: the calling code stands in no file.
    """
    caller = sys._getframe(depth).f_code.co_filename
    if not os.path.exists(caller):
        raise RuntimeError(
            f"load_rel({os.fspath(path)!r}) needs a caller that stands in a file, not in {caller}"
        )
    return load(os.path.join(os.path.dirname(os.path.abspath(caller)), path), keys)


def as_tree(namespace: Mapping[str, object]) -> Node:
    """A node of the given values, with dicts turned into nodes and OmegaConf objects converted."""
    root = to_nodes(dict(namespace))
    assert isinstance(root, Node)
    if _holds_omegaconf(root):
        from_omegaconf(root)
    return root


def _holds_omegaconf(root: object) -> bool:
    if "omegaconf" not in sys.modules:
        return False
    seen: set[int] = set()
    work = [root]
    while work:
        value = work.pop()
        if is_omegaconf(value):
            return True
        if isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            work.extend(dict.values(value) if isinstance(value, dict) else value)
    return False


def _settled(value: Any) -> Any:
    """A value, or what a stand-in of it stands for, where that may be data."""
    settle = getattr(type(value), "__lazycfg_settled__", None)
    return value if settle is None else settle(value)


def _is_data(name: str, value: object) -> bool:
    if isinstance(value, _DATA) and not isinstance(value, type):
        return True
    if value is None or (value is REQUIRED and name != "REQUIRED"):
        return True
    return has_fields(value) or is_omegaconf(value)


def _existing_file(path: str | os.PathLike[str]) -> str:
    file = os.path.abspath(os.path.expanduser(path))
    if os.path.isfile(file):
        return file
    folder = Path(file).parent
    if os.path.isdir(file):
        raise IsADirectoryError(
            f"{file} is a folder; a config is one file in it: {', '.join(_files_in(Path(file)))}"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"no config file {file}: there is no folder {folder}")
    raise FileNotFoundError(f"no config file {file}{closest(Path(file).name, _files_in(folder))}")


def _files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _pick(namespace: Mapping[str, object], keys: str | Iterable[str], file: str) -> dict[str, object]:
    picked = {}
    for key in (keys,) if isinstance(keys, str) else keys:
        if key not in namespace:
            raise ConfigKeyError(key, [name for name in namespace if not name.startswith("_")])
        picked[key] = dict.__getitem__(namespace, key) if isinstance(namespace, dict) else namespace[key]
    return picked


def _result(picked: Mapping[str, object], keys: str | Iterable[str] | None) -> Any:
    values = tuple(raw_get(picked, key) if isinstance(picked, Node) else picked[key] for key in picked)
    return values[0] if isinstance(keys, str) else values
