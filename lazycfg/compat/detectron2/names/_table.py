"""What the tables of names are written with."""

from __future__ import annotations

from lazycfg.compat.finder import Gone

Table = dict[str, "str | Gone"]

HERE = "lazycfg.compat.detectron2"


def at(module: str, names: str) -> Table:
    """Return names (separated by blanks) that are the same in a module of lazycfg."""
    return {name: f"{module}:{name}" for name in names.split()}


def here(module: str, names: str) -> Table:
    """Return names (separated by blanks) that are in a module of this package, in their old form."""
    return at(f"{HERE}.{module}", names)


def gone(remedy: str, names: str) -> Table:
    """Return names (separated by blanks) that are not answered, with one remedy for all."""
    return {name: Gone(remedy) for name in names.split()}
