"""Where a value stands in the text of a file, as explanations and errors show it.

A `Source` is a piece of the text: the call that made a node, a variable of a config file (with all that the
file assigns to it), a key of a data file. `below` leads from there to the argument, key or element that a
config path names next. `python_text` reads config files, `file_positions` data files.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Callable
    from typing import Any, TypeVar

    from lazycfg.config.tree.paths import Key
    from lazycfg.config.tree.position import FilePosition

    T = TypeVar("T")


class Place:
    """One place where a value was written.

    Attributes:
        position: where it stands.
        text: what stands there; "" when that is not known, or no text that looks well on one line.
        certain: False for what only runs when a condition holds (in an `if`, a loop, a `try` ...).
    """

    __slots__ = ("_tree", "certain", "position", "text")

    def __init__(self, position: FilePosition, text: str, tree: ast.AST | None = None):
        self.position = position
        self.text = text
        self.certain = True
        self._tree = tree

    def gives(self, value: Any) -> bool | None:
        """Return whether it gives `value`, as far as the text tells: None when it is no plain literal."""
        if self._tree is None:
            return None
        import ast

        from lazycfg.config.tree.traversal import same_leaf

        try:
            literal = ast.literal_eval(self._tree)
            hash(literal)  # of a list or a dict: it may be the same one, with something else in it by now
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
        return same_leaf(literal, value) or literal != literal


def latest(places: list[Place]) -> list[Place]:
    """Return those of the places of a value that nothing later hides for sure: the last one that is certain,
    and what comes after it.
    """
    last = max((number for number, place in enumerate(places) if place.certain), default=0)
    return places[last:]


class Source:
    """What the text of a file tells about one value."""

    __slots__ = ()

    def below(self, key: Key) -> Source | None:
        """Return the source of what stands at `key` of this value; None when the text does not tell. Raises
        NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def places(self) -> list[Place]:
        """Return where the value was written, in the order of the lines."""
        return []


_read: dict[str, tuple[bytes, Any]] = {}


def read_once(file: str, parse: Callable[[bytes], T]) -> T | None:
    """Return what `parse` makes of a file, kept until the file changes; None when that is not possible."""
    try:
        with open(file, "rb") as stream:
            data = stream.read()
        kept = _read.get(file)
        if kept is None or kept[0] != data:
            kept = (data, parse(data))
            if len(_read) > 64:
                _read.clear()
            _read[file] = kept
    except (OSError, SyntaxError, ValueError):
        return None
    found: T = kept[1]
    return found
