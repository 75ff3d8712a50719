"""A lazy config file and those that it imports by a relative import: which are written, and where."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lazycfg.convert.lazy_files.imports import Imports
from lazycfg.convert.lazy_files.source import Source
from lazycfg.convert.result import ConvertError

__all__ = ["Plan", "rewrite_relative"]

FindInZoo = Callable[[Path, Sequence[str]], str | None]


class Plan:
    """Where the files go: those below the first file's folder stay there, those beside or above it move in.

    Attributes:
        places: file -> its path below the folder of the new file.
    """

    def __init__(self, file: Path, name: str) -> None:
        self.first = file
        self.folder = file.parent
        self.places: dict[Path, Path] = {file: Path(name)}

    def place(self, file: Path) -> Path:
        """Return the new path of a file; raises `ConvertError` where two files would get the same one."""
        if file not in self.places:
            parts = [part for part in Path(os.path.relpath(file, self.folder)).parts if part != ".."]
            place = Path(*parts)
            taken = [known for known, path in self.places.items() if path == place]
            if taken:
                raise ConvertError(f"{file} and {taken[0]} would both become {place}: rename one of them")
            self.places[file] = place
        return self.places[file]


def rewrite_relative(
    source: Source, imports: Imports, file: Path, plan: Plan, find_in_zoo: FindInZoo
) -> list[Path]:
    """Edit the relative imports of a file so that they find the new files; return the files that it imports.

    Args:
        find_in_zoo: given a file and the names that are imported from it, returns the module of our model zoo
            that says the same.

    Raises:
        ConvertError: an import finds no file.
    """
    found = []
    here = plan.place(file)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            found += _read_file(source, imports, node, file, plan)
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = file.parents[node.level - 1]
        words = node.module.split(".") if node.module else []
        target = _module(base, words)
        if target is not None and (words or target.name != "__init__.py"):
            zoo = find_in_zoo(target, [alias.name for alias in node.names])
            if zoo is not None:
                text = source.text_of(node)
                source.replace(node, f"from {zoo} {text[text.index('import') :]}")
                continue
            found.append(target)
            dots, module = _relative(here, plan.place(target))
            if (dots, module) != (node.level, node.module or ""):
                text = source.text_of(node)
                source.replace(node, f"from {'.' * dots}{module} {text[text.index('import') :]}")
            continue
        for alias in node.names:  # from . import file
            target = _module(base, [*words, alias.name])
            if target is None:
                raise ConvertError(
                    f"{source.file}:{node.lineno}: there is no file for "
                    f"from {'.' * node.level}{node.module or ''} import {alias.name}"
                )
            found.append(target)
            place = plan.place(target)
            if place != Path(os.path.relpath(target, plan.folder)):
                if len(node.names) > 1:
                    raise ConvertError(
                        f"{source.file}:{node.lineno}: write one import for each of these files, "
                        "as they move to other folders"
                    )
                dots, module = _relative(here, place.parent / "x.py")
                names = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                source.replace(node, f"from {'.' * dots}{module.rpartition('.')[0]} import {names}")
    return found


def _read_file(source: Source, imports: Imports, node: ast.Call, file: Path, plan: Plan) -> list[Path]:
    """Return the file that is read by its name, with the name rewritten.

    That is `LazyConfig.load_rel("x.py")`, and `get_config("common/train.py")` of detrex where the file lies
    in a checkout of it.
    """
    if not node.args or not isinstance(node.args[0], ast.Constant):
        return []
    path = str(node.args[0].value)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "load_rel":
        target = (file.parent / path).resolve()
    elif imports.origin(node.func) == "detrex.config.get_config":
        found = [folder / "detrex/config/configs" / path for folder in file.parents]
        target = next((place for place in found if place.is_file()), Path(path))
    else:
        return []
    if target.suffix != ".py" or not target.is_file():
        return []
    if not isinstance(node.func, ast.Attribute):
        imports.drop(node.func)
        source.replace(node.func, f"{imports.need('lazycfg', 'LazyConfig')}.load_rel")
    name = os.path.relpath(plan.place(target), plan.place(file).parent)
    source.replace(node.args[0], f'"{name}"')
    return [target]


def _module(folder: Path, words: list[str]) -> Path | None:
    place = folder.joinpath(*words)
    for file in (
        place.with_name(f"{place.name}.py") if words else place / "__init__.py",
        place / "__init__.py",
    ):
        if file.is_file():
            return file.resolve()
    return None


def _relative(here: Path, there: Path) -> tuple[int, str]:
    """Return the dots and the module of an import of one new file in another one."""
    up = 0
    folder = here.parent
    target = there.with_suffix("") if there.name != "__init__.py" else there.parent
    while folder.parts != target.parts[: len(folder.parts)]:
        folder, up = folder.parent, up + 1
    return up + 1, ".".join(target.parts[len(folder.parts) :])
