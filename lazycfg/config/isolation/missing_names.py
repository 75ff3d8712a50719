"""Which import a config file has forgotten, for the message of a NameError; nothing is imported to find out.

What the config files around a file bind under the name says where it comes from, then what the files of the
model zoo bind under it and what the packages of this library export.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.isolation.bindings import Bindings, bindings_of, parse_source
from lazycfg.config.suggest import did_you_mean

_SHARED_FOLDER = "common"  # of the parts that several configs import
_LEVELS = 3  # how far above a config such a folder is looked for
_MOST_FILES = 500
_MOST_LINES = 3
_LIBRARY = __name__.partition(".")[0]

Names = Mapping[str, object]


def how_to_bind(error: NameError) -> list[str]:
    """Return what to write for a name that a config file uses and has not bound; [] when nothing is known."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    names = {} if traceback is None else traceback.tb_frame.f_globals
    bindings, name = names.get("_lazycfg_bindings"), error.name
    if not isinstance(bindings, Bindings) or not isinstance(name, str):
        return []
    if type(error) is not NameError or "free variable" in str(error):
        return []  # of a name inside a function
    if not os.path.isfile(str(names.get("__file__"))):
        return []
    if name in bindings.kinds:
        return [f"the file binds {name!r}, but not before this line runs"]
    lines = _lines(name, names)
    if not lines:
        bound = [other for other in names if not other.startswith("_")]
        hint = did_you_mean(name, bound)
        return [f"nothing of that name is bound{hint}"] if hint else []
    if len(lines) == 1:
        return [f"{name!r} is not imported; write: {lines[0]}"]
    rest = [f"  ... and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return [f"{name!r} is not imported; one of these?", *(f"  {line}" for line in lines[:_MOST_LINES]), *rest]


def _lines(name: str, names: Names) -> list[str]:
    """Return the import statements that would bind a name, the likeliest first."""
    imported: Any = names.get("_lazycfg_sources", {})
    known = [f"{'.' * level}{path}" for (level, path), module in imported.items() if name in vars(module)]
    if known:
        return list(dict.fromkeys(f"from {path} import {name}" for path in known))
    file = Path(str(names.get("__file__")))
    return _near(name, file) or _in_library(name) or _of_python(name)


def _near(name: str, file: Path) -> list[str]:
    """Return how the config files beside a file, and in the shared folders above it, bind a name."""
    files = [path for path in _files_in(file.parent, "*.py") if path != file]
    for above in [file.parent, *file.parent.parents][:_LEVELS]:
        files += _files_in(above / _SHARED_FOLDER, "**/*.py")
    found = _bound_in(dict.fromkeys(files), name)
    return _as_lines(found, name, lambda path: _relative(path, file.parent))


def _in_library(name: str) -> list[str]:
    """Return how the model zoo binds a name, and which packages of the library export it."""
    top = Path(str(getattr(sys.modules.get(_LIBRARY), "__file__", ""))).parent
    zoo = top / "model_zoo"
    in_zoo = _bound_in(_files_in(zoo, "**/*.py"), name, defined_below=zoo / _SHARED_FOLDER)
    lines = _as_lines(in_zoo, name, lambda path: _absolute(path, top))
    inits = [top / "__init__.py", *_files_in(top, "*/__init__.py"), *_files_in(top, "projects/*/__init__.py")]
    exporting = [init for init in inits if name in _exported_by(init, name)]
    lines += [f"from {_absolute(init.parent, top)} import {name}" for init in exporting]
    if (top / name / "__init__.py").is_file():
        lines.append(f"from {_LIBRARY} import {name}")
    return list(dict.fromkeys(lines))


def _of_python(name: str) -> list[str]:
    if name == "np":
        return ["import numpy as np"]
    is_module = name in sys.stdlib_module_names and not name.startswith("_")
    return [f"import {name}"] if is_module or name in ("torch", "torchvision", "numpy") else []


# ---------------------------------------------------------------- what files bind

Source = tuple[Path | str, str]  # a file or the name of a module, and the name in it ("": the module itself)


def _bound_in(files: Iterable[Path], name: str, defined_below: Path | None = None) -> Counter[Source]:
    """Return where files have a name from, with the number of them.

    ``defined_below`` limits the files whose own definitions count.
    """
    bound: dict[Path, Source] = {}
    for path in files:
        tree = _parsed(path, name)
        source = None if tree is None else _source_in(tree, name, path)
        if source is not None:
            bound[path] = source
    found: Counter[Source] = Counter()
    for source in bound.values():
        for _ in range(len(bound)):  # a file that has it from another one
            further = bound.get(source[0]) if isinstance(source[0], Path) and source[1] == name else None
            if further is None or further == source:
                break
            source = further
        if defined_below is None or not isinstance(source[0], Path) or defined_below in source[0].parents:
            found[source] += 1
    return found


def _source_in(tree: ast.Module, name: str, path: Path) -> Source | None:
    """Return where a file has a name from; None when it does not bind it at its top level."""
    bindings = bindings_of(tree)
    if name in bindings.imports:
        origin = bindings.imports[name]
        if not origin.level:
            return origin.module, origin.name
        folder = path.parents[origin.level - 1] if origin.level <= len(path.parents) else path.parent
        target = folder.joinpath(*origin.module.split(".")) if origin.module else folder
        file = target.with_name(f"{target.name}.py")
        if file.is_file():
            return file, origin.name
        inner = target / f"{origin.name}.py"
        return (inner, "") if inner.is_file() else None
    for statement in tree.body:
        for alias in statement.names if isinstance(statement, ast.Import) else ():
            if (alias.asname or alias.name) == name:
                return alias.name, ""
    return (path, name) if bindings.kinds.get(name) in ("assigned", "def", "class") else None


def _exported_by(init: Path, name: str) -> list[str]:
    """Return the ``__all__`` of a package, read from its text."""
    tree = _parsed(init, name)
    for statement in [] if tree is None else tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            parts = [part.value for part in ast.walk(statement.value) if isinstance(part, ast.Constant)]
            return [part for part in parts if isinstance(part, str)]
    return []


def _parsed(path: Path, name: str) -> ast.Module | None:
    """Return the syntax tree of a file that has a name in its text; None for any other."""
    try:
        data = path.read_bytes()
        return parse_source(data, str(path)) if name.encode() in data else None
    except (OSError, SyntaxError, ConfigError):
        return None


def _files_in(folder: Path, pattern: str) -> list[Path]:
    def listed() -> Iterator[Path]:
        for count, path in enumerate(folder.glob(pattern)):
            if count == _MOST_FILES:
                break
            yield path

    return sorted(listed())


# ---------------------------------------------------------------- how it is imported


def _as_lines(found: Counter[Source], name: str, spelled: Any) -> list[str]:
    lines = []
    for (where, original), _ in found.most_common():
        module = spelled(where) if isinstance(where, Path) else where
        if not original and isinstance(where, str):
            lines.append(f"import {module}" if module == name else f"import {module} as {name}")
            continue
        if not original:
            module, _, original = module.rpartition(".")
            module = module if module.strip(".") else f"{module}."
        lines.append(f"from {module} import {original}" + ("" if original == name else f" as {name}"))
    return lines


def _relative(path: Path, folder: Path) -> str:
    parts = Path(os.path.relpath(path.with_suffix(""), folder)).parts
    up = parts.count("..")
    return "." * (up + 1) + ".".join(parts[up:])


def _absolute(path: Path, top: Path) -> str:
    return ".".join([_LIBRARY, *path.with_suffix("").relative_to(top).parts])
