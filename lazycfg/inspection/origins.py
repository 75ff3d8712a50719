"""From a built object back to the config: `origin(obj)`, and errors that name the config path.

`instantiate` remembers, by weak references, which node every object came from. Nothing is kept alive by that
but the nodes, and these only as long as one of the objects they built is.
"""

from __future__ import annotations

from lazycfg.config.building.built import source_of_object
from lazycfg.config.building.raising import own_code
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.position import position_of
from lazycfg.config.tree.targets import target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

    from lazycfg.config.tree.paths import Link
    from lazycfg.config.tree.position import Origin as Place


class Origin:
    """Where a built object came from.

    Attributes:
        node: the node that it was built from.
        path: its config path, as text; "" is the outermost node.
        position: where the node was written, None when that is not known.
    """

    __slots__ = ("_link", "node")

    def __init__(self, node: Node, link: Link):
        self.node = node
        self._link = link

    @property
    def path(self) -> str:
        """Return the config path."""
        return format_path(unlink(self._link))

    @property
    def position(self) -> Place | None:
        """Return where the value was set; None if it is not known."""
        return position_of(self.node)

    def __str__(self) -> str:
        name = target_name(dict.get(self.node, "_target_"), full=True)
        where = "" if self.position is None else f", written at {self.position}"
        return f"config path {self.path or '(the root)'!r}: {name}{where}"

    def __repr__(self) -> str:
        return f"<{self}>"


def origin(obj: Any) -> Origin | None:
    """Return the node, config path and position that `obj` was built from, None when it was not built by
    `instantiate`.

    Objects that weak references do not allow (numbers, text, lists, tuples, dicts) are not remembered. Of a
    class or function that `L(f)()` merely returned nothing useful can be said either.
    """
    found = source_of_object(obj)
    return None if found is None else Origin(*found)


class explain_errors:
    """`with explain_errors(model): model(images)`: an exception raised in there gains a note that names the
    config path, target and position of the innermost built object whose method was running, the shapes it
    was given, and where in the user's own code that was.

    Costs nothing while no error is raised: the traceback is searched afterwards, no hook is installed.

    Args:
        root: a built object, such as a model; of its submodules that have no node of their own the nearest
            one above that has one is named, with the way from there. May be left out.
    """

    def __init__(self, root: Any = None):
        self.root = root

    def __enter__(self) -> explain_errors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        for owner, local in _owners(traceback):
            text = self._describe(owner)
            if text is not None:
                shapes = _shapes(local)
                note = f"raised in {text}{f', called with {shapes}' if shapes else ''}"
                raised = own_code(traceback.tb_next if traceback is not None else None)
                error.add_note(f"{note}\n  {raised}" if raised else note)
                return

    def _describe(self, owner: Any) -> str | None:
        found = origin(owner)
        if found is not None:
            return str(found)
        named = getattr(self.root, "named_modules", None)
        if named is None:
            return None
        modules = dict(named())
        name = next((n for n, module in modules.items() if module is owner), None)
        if name is None:
            return None
        above = name
        while above:
            above = above.rpartition(".")[0]
            found = origin(modules.get(above))
            if found is not None:
                return f"{type(owner).__name__} at .{name.removeprefix(above).lstrip('.')} of {found}"
        return f"{type(owner).__name__} at {name!r} of the model"


def _owners(traceback: TracebackType | None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the objects whose methods were running, innermost first, with the local variables of each."""
    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    for frame in reversed(frames):
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if names and names[0] in frame.f_locals:
            yield frame.f_locals[names[0]], {n: frame.f_locals.get(n) for n in names[1:]}


def _shapes(arguments: dict[str, Any]) -> str:
    shapes = [(name, getattr(value, "shape", None)) for name, value in arguments.items()]
    return ", ".join(f"{name} of shape {tuple(shape)}" for name, shape in shapes if isinstance(shape, tuple))
