"""Who set a value: `explain(cfg, "model.backbone.depth")` lists where it was written, and by whom it was
changed.
"""

from __future__ import annotations

from types import FunctionType

from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.binding import known_signature
from lazycfg.config.signatures.places import origin_of, place_of, source_of, writes_along
from lazycfg.config.signatures.source_lookup import latest
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, raw_contains
from lazycfg.config.tree.paths import MISSING, format_path, parse_path
from lazycfg.config.tree.position import CommandLine, FilePosition, Write, position_of, writes_of, writes_to
from lazycfg.config.tree.targets import is_deferred, target_name
from lazycfg.config.tree.traversal import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lazycfg.config.signatures.source_lookup import Source
    from lazycfg.config.tree.paths import Key, Path
    from lazycfg.config.tree.position import Origin


class Step:
    """One thing that happened to a value.

    Attributes:
        path: the config path that was written, as text: that of the value, or one above it.
        kind: "written" (in the call), "set", "deleted", "default" (of the target), "interpolation",
            "unresolved" (an interpolation that has no value: ``value`` is the reason), or "changed": none of
            the steps before gives the value that is there now.
        value: what was written, as text.
        origin: where; None when that is not known.
        certain: False when it may not have happened: it is in an `if`, a loop, a `try` ...
    """

    __slots__ = ("certain", "kind", "origin", "path", "value")

    def __init__(self, path: str, kind: str, value: str, origin: Origin | None, *, certain: bool = True):
        self.path = path
        self.kind = kind
        self.value = value
        self.origin = origin
        self.certain = certain

    def __str__(self) -> str:
        where = "at a place that is not known"
        if self.origin is not None:
            where = f"{_preposition(self.origin)} {self.origin}"
        verb = _VERBS.get(self.kind, self.kind) if self.certain else f"perhaps {self.kind}"
        if self.kind == "unresolved":
            return f"{self.path} cannot be resolved: {self.value}"
        value = "" if self.kind == "deleted" else f" = {self.value}"
        return f"{self.path}{value}  {verb} {where}"

    def __repr__(self) -> str:
        return f"<Step {self}>"


_VERBS = {
    "default": "the default of the target,",
    "interpolation": "refers to another value,",
    "changed": "changed later,",
}


class Explanation:
    """The history of one value, oldest step first; `str()` of it is what the command line shows.

    Attributes:
        path: its config path, as text.
        value: what it is now, with `${...}` resolved.
        steps: what led to it.
    """

    __slots__ = ("path", "steps", "value")

    def __init__(self, path: str, value: Any, steps: list[Step]):
        self.path = path
        self.value = value
        self.steps = steps

    def __str__(self) -> str:
        lines = [f"{self.path or 'the root'} = {short(self.value)}"]
        lines += [f"  {number}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join(lines if self.steps else [*lines, "  it is not known where it was written"])

    def __repr__(self) -> str:
        return str(self)


def explain(cfg: Any, path: str | Sequence[Key]) -> Explanation:
    """Return what set the value at a config path, in order: files, lines and overrides.

    Of a call or a dict it lists what was changed inside, too. An argument that the config leaves out is
    explained by the default of the target's signature; a `${...}` is followed to the value it stands for.
    Raises `PathError` for a path that does not exist.
    """
    keys = parse_path(path) if isinstance(path, str) else tuple(path)
    steps: list[Step] = []
    holder = cfg
    source: Source | None = None  # of `holder`, as far as it is known
    node, above = None, 0  # the last node on the way, and how many keys lead to it
    for depth, key in enumerate(keys):
        if type(holder) is Node:
            node, above = holder, depth
        source = source_of(holder) or source
        source = None if source is None else source.below(key)
        shown = format_path(keys[: depth + 1])
        last = depth + 1 == len(keys)
        if last:
            default = _default(holder, key, shown)
            if default is not None:
                return Explanation(shown, default[0], [*_sorted(writes_along(cfg, keys)), default[1]])
        value = find_key(holder, key)
        if last:
            steps += _written(value, shown, source, node, keys[above:])
        if value is MISSING:
            get_path(cfg, keys[: depth + 1])  # raises, with a suggestion
        if type(value) is str and "${" in value:
            steps.append(Step(shown, "interpolation", value, place_of(cfg, keys[: depth + 1])))
            steps += _behind(cfg, keys[:depth], dict.get(holder, key) if isinstance(holder, dict) else None)
            try:
                value = get_path(cfg, keys[: depth + 1])
            except ConfigError as error:  # not there, or not allowed: that is no reason to keep the history
                if not last:
                    raise
                steps.append(Step(shown, "unresolved", str(error), None))
        if node is not None and any(
            isinstance(write.origin, CommandLine) for write in writes_to(node, keys[above : depth + 1])
        ):
            source = None  # what the files say of it is no longer there
        holder = value
    along = writes_along(cfg, keys)
    outer = [(place, write) for place, write in along if len(place) <= above]  # they put the node in place
    own = [(place, write) for place, write in along if len(place) > above]
    if not keys or (type(holder) is Node and not steps):
        made = position_of(holder)
        if made is not None:
            steps.insert(0, Step(format_path(keys) or "the root", "written", short(holder), made))
    return Explanation(
        format_path(keys), holder, [*_sorted(outer), *steps, *_sorted([*own, *_writes_below(holder, keys)])]
    )


def _writes_below(value: Any, keys: Path) -> list[tuple[Path, Write]]:
    """Return what was changed inside a call or a dict after it was written, with the path of each."""
    nodes: dict[int, tuple[Path, Node]] = {}  # each at the first of its places
    for path, node in walk(value):
        if type(node) is Node:
            nodes.setdefault(id(node), (path, node))
    return [
        ((*keys, *path, *parse_path(str(write.key))), write)
        for path, node in nodes.values()
        for write in writes_of(node)
    ]


def _sorted(found: list[tuple[Path, Write]]) -> list[Step]:
    steps = []
    for place, write in sorted(found, key=lambda pair: pair[1].number):
        deleted = write.value is Write.DELETED
        steps.append(
            Step(format_path(place), "deleted" if deleted else "set", short(write.value), origin_of(write))
        )
    return steps


def _written(value: Any, shown: str, source: Source | None, node: Any, keys: Path) -> list[Step]:
    """Return the steps of the text that first gave a value, which is at `keys` in the nearest node above
    it.
    """
    places = [] if source is None else source.places()
    changed = node is not None and bool(writes_to(node, keys))
    instead = "..." if changed else short(value)
    steps = [
        Step(shown, "set" if at else "written", short_text(p.text) or instead, p.position, certain=p.certain)
        for at, p in enumerate(places)
    ]
    if node is None or changed:
        return steps
    if not steps:
        made = position_of(node)
        if made is not None and len(keys) == 1 and value is not MISSING:
            steps.append(Step(shown, "written", short(value), made))
        return steps
    if all(place.gives(value) is False for place in latest(places)):
        steps.append(Step(shown, "changed", short(value), None))
    return steps


def _default(holder: Any, key: Key, shown: str) -> tuple[Any, Step] | None:
    """Return the default of an argument that the config leaves out."""
    signature = known_signature(holder)
    if (
        signature is None
        or raw_contains(holder, key)
        or key not in signature.names
        or key in signature.required
    ):
        return None
    value = signature.parameters[key].default
    owner = signature.handed.get(key, signature.target)
    code = getattr(getattr(owner, "__init__", None), "__code__", None)
    code = getattr(owner, "__code__", code)
    origin = None if code is None else FilePosition(code.co_filename, code.co_firstlineno)
    definition = getattr(signature, "definition", None)  # of a signature that was read from source
    if definition is not None:
        definition = signature.handed.get(key, definition)
        origin = FilePosition(definition.file, definition.line)
    text = f"{short(value)} in {target_name(signature.target)}"
    return value, Step(shown, "default", text, origin)


def _behind(cfg: Any, above: Sequence[Key], text: str | None) -> list[Step]:
    """Return the history of the value that an interpolation stands for, when it is one plain path."""
    from lazycfg.config.tree.interpolation import split

    if text is None:
        return []
    parts = split(text)
    if len(parts) != 1 or not parts[0][0] or ":" in parts[0][1] or "${" in parts[0][1]:
        return []
    content = parts[0][1].strip()
    dots = len(content) - len(content.lstrip("."))
    base = tuple(above[: len(above) - dots + 1]) if dots else ()
    try:
        return explain(cfg, (*base, *parse_path(content[dots:]))).steps
    except (ConfigError, RecursionError):
        return []


def short(value: Any, length: int = 80) -> str:
    """Return a value on one line."""
    try:
        text = named(value)
    except Exception as error:  # somebody else's __repr__
        text = f"<{type(value).__name__}: its repr fails with {type(error).__name__}>"
    return short_text(text, length)


def named(value: Any) -> str:
    """Return the name of a class or function, the `repr` of anything else."""
    has_name = isinstance(value, type | FunctionType) and not is_deferred(value)
    return target_name(value, full=True) if has_name else repr(value)


def short_text(text: str, length: int = 80) -> str:
    """Return the beginning of a text, as one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


def _preposition(origin: Origin) -> str:
    return "by" if isinstance(origin, CommandLine) else "at"
