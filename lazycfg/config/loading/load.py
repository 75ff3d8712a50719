"""Loading configs: what of a config file's names is its config, and the data formats.

The config of a Python file is a `Node` of its top-level names: what the file assigns, the functions that it
defines and does not use itself, and what it imports from other config files; see `top_level` for the rule.
`left_out` tells which names are not part of it, and why; ``load(path, keys="name")`` still gives them.
A file that defines ``__config__`` says itself what its config is.

Every exact dict becomes a `Node` and every OmegaConf object is converted; a dict reached twice is one node.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lazycfg.config.errors import ConfigKeyError
from lazycfg.config.formats.files import SUFFIXES, format_of
from lazycfg.config.isolation.session import ImportFunction, python_import, run_file
from lazycfg.config.isolation.top_level import sort_out
from lazycfg.config.signatures.python_text import Assigned
from lazycfg.config.suggest import closest
from lazycfg.config.tree.from_omegaconf import from_omegaconf, is_omegaconf
from lazycfg.config.tree.node import Node, raw_get, to_nodes
from lazycfg.config.tree.parents import settle
from lazycfg.config.tree.placed import set_parent
from lazycfg.config.tree.position import notes_of, set_position
from lazycfg.config.tree.traversal import walk_links
from lazycfg.config.trust import Policy


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
        from lazycfg.config.formats.files import read_data_file

        namespace: Mapping[str, object] = read_data_file(
            file, policy=None if allow is None else Policy(allow), trusted=trusted
        )
        if isinstance(namespace, Node):
            settle(namespace)
        return namespace if keys is None else _result(_pick(namespace, keys), keys)
    module = run_file(file, import_absolute)
    if keys is None and "__config__" in vars(module):
        return _as_root(vars(module)["__config__"])
    if keys is None:
        names, reasons = sort_out(module)
        tree = as_tree(names)
        set_position(tree, Assigned(file, (), vars(module)["_lazycfg_stamps"]))
        notes_of(tree)["left_out"] = reasons
        return tree
    return _result(as_tree(_pick(vars(module), keys)), keys)


def load_rel(path: str | os.PathLike[str], keys: str | Iterable[str] | None = None, *, depth: int = 1) -> Any:
    """Return `load` of a path relative to the file of the calling code (``depth`` frames up).

    Raises:
        RuntimeError: the calling code is in no file.
    """
    caller = sys._getframe(depth).f_code.co_filename
    if not os.path.exists(caller):
        raise RuntimeError(f"load_rel({os.fspath(path)!r}) must be called from a file, not from {caller}")
    return load(os.path.join(os.path.dirname(os.path.abspath(caller)), path), keys)


def left_out(cfg: Any) -> dict[str, str]:
    """Return the public names of a config file that are no part of its config, each with the reason; {} for a
    config that was not loaded from a Python file as a whole.
    """
    return dict(notes_of(cfg).get("left_out", {})) if type(cfg) is Node else {}


def as_tree(namespace: Mapping[str, object]) -> Node:
    """Return a node of the given values, with dicts turned into nodes and OmegaConf objects converted."""
    root = to_nodes(dict(namespace))
    assert isinstance(root, Node)
    _convert(root)
    settle(root)
    return root


def _convert(root: object) -> None:
    """Turn what OmegaConf made into nodes and lists, in place."""
    if "omegaconf" in sys.modules and any(is_omegaconf(value) for _, value in walk_links(root)):
        from_omegaconf(root)


def _as_root(value: Any) -> Any:
    """Return the value of ``__config__``, with nothing above it."""
    if not isinstance(value, dict):
        return raw_get(as_tree({"": value}), "")
    root = to_nodes(value)
    _convert(root)
    if type(root) is Node:
        set_parent(root, None)
        settle(root)
    return root


def _existing_file(path: str | os.PathLike[str]) -> str:
    file = os.path.abspath(os.path.expanduser(path))
    if os.path.isfile(file):
        # A name that says data is taken by its word: a link must not make code of it that is run
        is_data = SUFFIXES.get(os.path.splitext(file)[1].lower(), "py") != "py"
        return os.path.realpath(file) if os.path.islink(file) and not is_data else file
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


def _pick(namespace: Mapping[str, object], keys: str | Iterable[str]) -> dict[str, object]:
    picked = {}
    for key in (keys,) if isinstance(keys, str) else keys:
        if key not in namespace:
            raise ConfigKeyError(key, [name for name in namespace if not name.startswith("_")])
        picked[key] = dict.__getitem__(namespace, key) if isinstance(namespace, dict) else namespace[key]
    return picked


def _result(picked: dict[str, object], keys: str | Iterable[str]) -> Any:
    values = tuple(dict.values(picked))
    return values[0] if isinstance(keys, str) else values
