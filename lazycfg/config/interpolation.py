"""`${a.b}`, `${.sibling}`, `${..x}` and `${resolver:args}`, with OmegaConf's meaning.

- `${a.b}` starts at the topmost container, `${.x}` in the container that holds the text, each further dot one
  container higher; a list or tuple counts as one.
- A text that is one interpolation becomes the value itself, whatever its type (a node stays that node, so
that it is
  shared); amid other text the value is put in as text. `\\${` is a literal `${`, and `\\\\${` a literal
  backslash before an interpolation.
- Resolvers are those registered with OmegaConf, which is imported only for them; `oc.env`, `oc.select`,
  `oc.dict.keys` and `oc.dict.values` work without. A resolver of OmegaConf sees its arguments, not the whole
  config.

What is above a text is given as a *chain*: the containers from the topmost one to the one that holds the
text.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar

from lazycfg.config.errors import ConfigError, InterpolationError, PathError
from lazycfg.config.node import _HOLDERS, Node, parent_of, set_chain, to_nodes
from lazycfg.config.paths import MISSING, dead_end, find_key, parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    Chain: TypeAlias = "list[Any]"
    Mark: TypeAlias = "tuple[int, str]"  # id of the holding container, text

__all__ = [
    "INNER_RESOLVERS",
    "chain_of",
    "limit_resolvers",
    "only_inner_resolvers",
    "resolve_in",
    "resolve_read",
    "resolve_with_chain",
]

# Resolvers that look at nothing but the config itself
INNER_RESOLVERS = frozenset(["oc.select", "oc.dict.keys", "oc.dict.values"])

_MOST_LOOKED = 64  # containers that are looked into for a node; they may lead in a circle
# Far above what anybody writes. A file that others wrote shall not be able to take hours or all memory with
# texts that double each other.
_DEEPEST = 100
_MOST_TEXTS = 2_500
_LONGEST = 1 << 20


class Active:
    """The interpolations under way.

    Attributes:
        marks: the texts that are being resolved, each for the sake of the one before: to find circles.
        seen: how many were resolved for the sake of the first one, in a list that all of them share.
    """

    __slots__ = ("marks", "seen")

    def __init__(self, marks: tuple[Mark, ...], seen: list[int]) -> None:
        self.marks = marks
        self.seen = seen

    def enter(self, mark: Mark) -> Active:
        """With one more text. Raises `InterpolationError` for a circle, and for too many."""
        if mark in self.marks:
            circle = " -> ".join(repr(t) for _, t in (*self.marks[self.marks.index(mark) :], mark))
            raise InterpolationError(f"interpolations run in a circle: {circle}")
        self.seen[0] += 1
        if len(self.marks) >= _DEEPEST or self.seen[0] > _MOST_TEXTS:
            start = brief_text((*self.marks, mark)[0][1])
            raise InterpolationError(
                f"interpolation {start} leads through more than {_DEEPEST} others in a row"
                if len(self.marks) >= _DEEPEST
                else f"interpolation {start} leads to more than {_MOST_TEXTS:,} others"
            )
        return Active((*self.marks, mark), self.seen)


def brief_text(text: str) -> str:
    """A text in quotes, cut when it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def chain_of(value: Any) -> Chain:
    """The containers above a node along which it was last read, topmost first, and the node itself; of a
    list, tuple or dict those that the nodes in it know of, and itself."""
    chain = [value]
    seen = {id(value)}
    parent = parent_of(value) if type(value) is Node else _above(value)
    while parent is not None:
        if type(parent) is tuple:  # a list, tuple or dict, and what holds it
            chain.append(parent[0])
            parent = parent[1]
            continue
        if id(parent) in seen:
            break
        seen.add(id(parent))
        chain.append(parent)
        parent = parent_of(parent)
    chain.reverse()
    return chain


def _above(value: Any) -> Any:
    """What a list, tuple or dict was last read through, as the first node in it knows; else None."""
    from itertools import islice

    work = [value]
    for _ in range(_MOST_LOOKED):
        inner = work.pop()
        if type(inner) is Node:
            above = parent_of(inner)
            while type(above) is tuple and above[0] is not value:
                above = above[1]
            return above[1] if type(above) is tuple else None
        if type(inner) in _HOLDERS:
            # Of a long list the first element tells whether it knows, see `_stamp`.
            elements = islice(inner.values() if type(inner) is dict else inner, 16 if len(inner) <= 16 else 1)
            work += reversed([element for element in elements if type(element) in _HOLDERS])
        if not work:
            break
    return None


def resolve_read(node: Any, text: str) -> Any:
    """What reading an item of `node` gives when the item is `text`."""
    value, chain = resolve_with_chain(text, chain_of(node))
    if isinstance(value, (dict, list, tuple)) and len(chain) > 1:
        set_chain(chain)
    return value


def resolve_in(text: str, chain: Chain) -> Any:
    """The value of `text`, held by the last container of `chain`. Raises `InterpolationError`."""
    return resolve_with_chain(text, chain)[0]


def resolve_with_chain(text: str, chain: Chain, active: Active | None = None) -> tuple[Any, Chain]:
    """The value of `text` and the chain that leads to it: that of its own place, if it has one, value
    included.
    """
    active = (active or Active((), [0])).enter((id(chain[-1]), text))
    parts = split(text)
    if len(parts) == 1 and parts[0][0]:
        return _value(parts[0][1], chain, active)
    words = [
        _as_text(_value(part, chain, active)[0], text) if is_reference else part
        for is_reference, part in parts
    ]
    value = "".join(words)
    if len(value) > _LONGEST:
        raise InterpolationError(
            f"interpolation {brief_text(text)} gives a text of {len(value):,} characters: "
            f"{_LONGEST:,} at most"
        )
    return value, [*chain, value]


def split(text: str) -> list[tuple[bool, str]]:
    """The parts of a text in order: (False, literal text) and (True, what stands between `${` and `}`)."""
    parts: list[tuple[bool, str]] = []
    literal, at = "", 0
    while (start := text.find("${", at)) >= 0:
        plain = text[at:start].rstrip("\\")
        count = start - at - len(plain)
        literal += plain + "\\" * (count // 2)  # one stands for two, as long as there are two
        if count % 2:
            literal += "${"
            at = start + 2
            continue
        end = _closing(text, start + 2)
        if literal:
            parts.append((False, literal))
            literal = ""
        parts.append((True, text[start + 2 : end]))
        at = end + 1
    literal += text[at:]
    if literal or not parts:
        parts.append((False, literal))
    return parts


def _closing(text: str, start: int) -> int:
    """Where the brace closes that opened before `start`; quotes hide braces."""
    depth, quote, at = 1, "", start
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise InterpolationError(f"interpolation {text!r}: a '}}' is missing")


def _as_text(value: Any, text: str) -> str:
    if isinstance(value, (dict, list, tuple)):
        raise InterpolationError(
            f"interpolation {text!r}: a {type(value).__name__} cannot be put into a text"
        )
    return str(value)


def _value(content: str, chain: Chain, active: Active) -> tuple[Any, Chain]:
    name, colon, arguments = content.partition(":")
    if colon and "${" not in name:
        value = _call_resolver(name.strip(), arguments, chain, active)
        return value, [*chain, value]
    if "${" in content:
        words = [
            str(_value(p, chain, active)[0]) if is_reference else p for is_reference, p in split(content)
        ]
        content = "".join(words)
    return _follow(content.strip(), chain, active)


def _follow(content: str, chain: Chain, active: Active) -> tuple[Any, Chain]:
    """The value at the path `content`, absolute or relative to the end of `chain`."""
    dots = len(content) - len(content.lstrip("."))
    shown = f"interpolation '${{{content}}}'"
    if dots > len(chain):
        raise InterpolationError(f"{shown}: it goes up {dots} containers, but there are {len(chain)} here")
    try:
        keys = parse_path(content[dots:])
    except PathError as error:
        raise InterpolationError(f"{shown}: {error}") from None
    if not keys and not dots:
        raise InterpolationError(f"{shown} is empty")
    found = chain[: len(chain) - dots + 1] if dots else chain[:1]
    for depth, key in enumerate(keys):
        value = find_key(found[-1], key)
        if value is MISSING:
            raise InterpolationError(f"{shown}: {dead_end(keys, depth, found[-1])}")
        if type(value) is str and "${" in value:
            found = resolve_with_chain(value, found, active)[1]
        else:
            found = [*found, value]
    return found[-1], found


# Resolvers.

# Whether a resolver may run; of `oc.env` the name goes on with the variable. None: all may.
_allows: ContextVar[Callable[[str], bool] | None] = ContextVar("lazycfg_resolvers", default=None)


def limit_resolvers(allows: Callable[[str], bool]) -> None:
    """From now on in this context run only the resolvers that `allows` (see `Policy.allows_resolver`)."""
    _allows.set(allows)


@contextlib.contextmanager
def only_inner_resolvers() -> Iterator[None]:
    """While this lasts run only resolvers that look at nothing but the config: what is read is shown to
    others."""
    token = _allows.set(INNER_RESOLVERS.__contains__)
    try:
        yield
    finally:
        _allows.reset(token)


def _refuse_resolver(name: str, shown: str) -> None:
    allows = _allows.get()
    if allows is not None and not allows(name):
        raise InterpolationError(f"interpolation {shown}: the resolver {name!r} does not run for this file")


def _call_resolver(name: str, text: str, chain: Chain, active: Active) -> Any:
    if name == "oc.env":
        arguments = _arguments(name, text, chain, active, 1, 2)
        _refuse_resolver(f"oc.env:{arguments[0]}", f"'${{oc.env:{arguments[0]}}}'")
        return _environment(*arguments)
    _refuse_resolver(name, f"'${{{name}:{text[:80]}}}'")
    if name == "oc.select":
        key, *default = _arguments(name, text, chain, active, 1, 2)
        try:
            return _follow(str(key), chain, active)[0]
        except InterpolationError:
            return default[0] if default else None
    if name in ("oc.dict.keys", "oc.dict.values"):
        key = _arguments(name, text, chain, active, 1, 1)[0]
        found = key if isinstance(key, dict) else _follow(str(key), chain, active)[0]
        if not isinstance(found, dict):
            raise InterpolationError(f"interpolation '${{{name}:{text}}}': {key!r} is no dict")
        return list(found) if name == "oc.dict.keys" else list(found.values())
    return _omegaconf_resolver(name, text, chain, active)


def _environment(name: Any, *default: Any) -> Any:
    import os

    value = os.environ.get(str(name))
    if value is not None:
        return value
    if not default:
        from lazycfg.config.suggest import closest_name

        near = closest_name(str(name), os.environ)
        hint = f"; did you mean {near!r}?" if near else ""
        raise InterpolationError(f"interpolation '${{oc.env:{name}}}': there is no such variable{hint}")
    return None if default[0] is None else str(default[0])


def _arguments(name: str, text: str, chain: Chain, active: Active, least: int, most: int) -> list[Any]:
    """The arguments of a resolver that is built in: text, numbers, null, or interpolations."""
    words = [_argument(word.strip(), chain, active) for word in _commas(text)] if text.strip() else []
    if not least <= len(words) <= most:
        count = str(least) if least == most else f"{least} or {most}"
        raise InterpolationError(f"interpolation '${{{name}:{text}}}': {name} takes {count} arguments")
    return words


def _argument(word: str, chain: Chain, active: Active) -> Any:
    if "${" in word:
        parts = split(word)
        values = [_value(part, chain, active)[0] if is_reference else part for is_reference, part in parts]
        return values[0] if len(values) == 1 else "".join(map(str, values))
    if len(word) >= 2 and word[0] == word[-1] and word[0] in "'\"":
        return word[1:-1]
    if word.lower() in _CONSTANTS:
        return _CONSTANTS[word.lower()]
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word


_CONSTANTS = {"null": None, "none": None, "true": True, "false": False}


def _commas(text: str) -> list[str]:
    """Split at the commas outside of braces, brackets and quotes."""
    words, word, depth, quote = [], "", 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
        elif char == "," and depth == 0:
            words.append(word)
            word = ""
            continue
        word += char
    return [*words, word]


def _omegaconf_resolver(name: str, text: str, chain: Chain, active: Active) -> Any:
    """Let OmegaConf parse the arguments and call the resolver; what `${...}` in them stand for is ours to
    find.
    """
    import re

    shown = f"interpolation '${{{name}:{text}}}'"
    try:
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError:
        raise InterpolationError(f"{shown} needs OmegaConf: pip install omegaconf") from None
    if not OmegaConf.has_resolver(name):
        raise InterpolationError(f"{shown}: no resolver {name!r} is registered with OmegaConf")
    holder: dict[str, Any] = {}
    words = ""
    for is_reference, part in split(text):
        if is_reference:
            value = _value(part, chain, active)[0]
            if isinstance(value, str):  # a computed text is a value: OmegaConf must not look into it again
                value = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
            holder[f"v{len(holder)}"] = dict(value) if isinstance(value, dict) else value
            words += f"${{v{len(holder) - 1}}}"
        else:
            words += part
    holder["value"] = f"${{{name}:{words}}}"
    try:
        found = OmegaConf.create(holder, flags={"allow_objects": True})["value"]
    except ConfigError:
        raise
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InterpolationError(f"{shown}: {reason}") from error
    except Exception as error:
        raise InterpolationError(f"{shown}: {type(error).__name__}: {error}") from error
    from lazycfg.config.omegaconf_bridge import from_omegaconf

    return to_nodes(from_omegaconf(found))
