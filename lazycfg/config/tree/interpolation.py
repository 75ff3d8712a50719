r"""`${a.b}`, `${.sibling}`, `${..x}` and `${resolver:args}`, with OmegaConf's meaning.

- `${a.b}` starts at the topmost container, `${.x}` in the container that holds the text, each further dot one
  container higher; a list or tuple counts as one.
- A text that is one interpolation becomes the value itself, whatever its type (a node stays that node, so
  that it is shared); amid other text the value is put in as text. `\\${` is a literal `${`, and `\\\\${` a
  literal backslash before an interpolation.
- Resolvers are those registered with OmegaConf, which is imported only for them; `oc.env`, `oc.select`,
  `oc.dict.keys` and `oc.dict.values` work without. A resolver of OmegaConf sees its arguments, not the whole
  config, and its result cannot hold calls.

What is above a text is given as a chain: see `chains`.
"""

from __future__ import annotations

import contextlib
import re
from contextvars import ContextVar

from lazycfg.config.errors import ConfigError, InterpolationError, PathError, with_article
from lazycfg.config.tree.budget import (
    DEEPEST,
    JOINED_A_STEP,
    KEYS_A_STEP,
    LONGEST,
    PARTS_A_STEP,
    Active,
    brief_text,
)
from lazycfg.config.tree.chains import extend, link, linked
from lazycfg.config.tree.from_omegaconf import from_omegaconf, holds_call
from lazycfg.config.tree.keys import dead_end, find_key
from lazycfg.config.tree.node import to_nodes
from lazycfg.config.tree.paths import MISSING, parse_path
from lazycfg.config.tree.required import is_required

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from lazycfg.config.tree.chains import Chain

# Resolvers that look at nothing but the config itself
INNER_RESOLVERS = frozenset(["oc.select", "oc.dict.keys", "oc.dict.values"])


def resolve_in(text: str, chain: list[Any]) -> Any:
    """Return the value of `text`, held by the last of some containers, the topmost one first.

    Raises `InterpolationError`.
    """
    above = linked(chain)
    assert above is not None
    return resolve(text, above)[0]


def resolve(text: str, chain: Chain, active: Active | None = None) -> tuple[Any, Chain]:
    """Return the value of `text`, held at the end of `chain`, and the chain that ends with the value.

    Raises `InterpolationError`.
    """
    active = (active or Active()).enter((id(chain[0]), text))
    parts = split(text)
    active.step(len(parts) // PARTS_A_STEP)
    if len(parts) == 1 and parts[0][0]:
        return _value(parts[0][1], chain, active)
    words = [
        _as_text(_value(part, chain, active)[0], text) if is_reference else part
        for is_reference, part in parts
    ]
    value = "".join(words)
    if len(value) > LONGEST:
        raise InterpolationError(
            f"interpolation {brief_text(text)} gives a text of {len(value):,} characters: {LONGEST:,} at most"
        )
    if len(active.marks) == 1:  # that is kept; the others are parts of it
        active.step(len(value) // JOINED_A_STEP, len(value))
    return value, link(value, chain)


def split(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a text in order: (False, literal text) and (True, what is in `${...}`)."""
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


def most_dots(text: str) -> int:
    """Return how many dots the relative interpolations in a text begin with, at most."""
    return max(map(len, _DOTS.findall(text)), default=0)


_DOTS = re.compile(r"(?:\$\{|[:,])\s*(\.+)")


def _closing(text: str, start: int) -> int:
    """Return where the brace closes that opened before `start`; quotes hide braces."""
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
            if depth > DEEPEST:
                raise InterpolationError(
                    f"interpolation {brief_text(text)}: braces are nested more than {DEEPEST} deep"
                )
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise InterpolationError(f"interpolation {brief_text(text)}: a '}}' is missing")


def _as_text(value: Any, text: str) -> str:
    if isinstance(value, (dict, list, tuple)):
        raise InterpolationError(
            f"interpolation {text!r}: {with_article(type(value).__name__)} cannot be put into a text"
        )
    return str(_filled_in(value, text))


def _filled_in(value: Any, text: str) -> Any:
    """Return a value that is used for another; raises where it must still be filled in."""
    if is_required(value):
        raise InterpolationError(
            f"interpolation {text!r} needs a value that must be filled in first (it is ???)"
        )
    return value


def _value(content: str, chain: Chain, active: Active) -> tuple[Any, Chain]:
    name, colon, arguments = content.partition(":")
    if colon and "${" not in name:
        value = _call_resolver(name.strip(), arguments, chain, active)
        return value, link(value, chain)
    if "${" in content:
        content = "".join(map(str, _values(content, f"${{{content}}}", chain, active)))
    return _follow(content.strip(), chain, active)


def _values(content: str, text: str, chain: Chain, active: Active) -> list[Any]:
    """Return the parts of what stands in the interpolation `text`, with the values of those inside it."""
    return [
        _filled_in(_value(part, chain, active)[0], text) if is_reference else part
        for is_reference, part in split(content)
    ]


def _follow(content: str, chain: Chain, active: Active) -> tuple[Any, Chain]:
    """Return the value at the path `content`, absolute or relative to the end of `chain`, and its chain."""
    dots = len(content) - len(content.lstrip("."))
    shown = f"interpolation '${{{content}}}'"
    try:
        keys = parse_path(content[dots:])
    except PathError as error:
        raise InterpolationError(f"{shown}: {error}") from None
    if not keys and not dots:
        raise InterpolationError(f"{shown} is empty")
    found: Chain = chain if dots else (chain[2], None, chain[2])
    for _ in range(dots - 1):
        if found[1] is None:
            raise InterpolationError(f"{shown} goes up {dots} containers, but there {_height(chain)}")
        found = found[1]
    for depth, key in enumerate(keys):
        value = find_key(found[0], key)
        if value is MISSING:
            raise InterpolationError(f"{shown}: {dead_end(keys, depth, found[0])}")
        if type(value) is str and "${" in value:
            found = resolve(value, found, active)[1]
        else:
            found = extend(found, value)
    return found[0], found


def _height(chain: Chain) -> str:
    """Return how many containers a chain has, as the end of a message."""
    height, step = 1, chain[1]
    while step is not None:
        height, step = height + 1, step[1]
    return f"{'is' if height == 1 else 'are'} only {height}"


# Resolvers.

# Whether a resolver may run; of `oc.env` the name goes on with the variable. None: all may.
_allows: ContextVar[Callable[[str], bool] | None] = ContextVar("lazycfg_resolvers", default=None)


@contextlib.contextmanager
def limited_resolvers(allows: Callable[[str], bool] = INNER_RESOLVERS.__contains__) -> Iterator[None]:
    """While this lasts run only the resolvers that `allows` (see `Policy.allows_resolver`); by default those
    that look at nothing but the config, as what is read then is shown to others.
    """
    token = _allows.set(allows)
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
        active.step(len(found) // KEYS_A_STEP, 64 * len(found))
        return list(found) if name == "oc.dict.keys" else list(found.values())
    return _omegaconf_resolver(name, text, chain, active)


def _environment(name: Any, *default: Any) -> Any:
    import os

    value = os.environ.get(str(name))
    if value is not None:
        return value
    if not default:
        from lazycfg.config.suggest import did_you_mean

        hint = did_you_mean(name, os.environ)
        raise InterpolationError(f"interpolation '${{oc.env:{name}}}': there is no such variable{hint}")
    return None if default[0] is None else str(default[0])


def _arguments(name: str, text: str, chain: Chain, active: Active, least: int, most: int) -> list[Any]:
    """Return the arguments of a resolver that is built in: text, numbers, null, or interpolations."""
    words = [_argument(word, chain, active) for word in split_at_commas(text)] if text.strip() else []
    if not least <= len(words) <= most:
        count = str(least) if least == most else f"{least} or {most}"
        raise InterpolationError(f"interpolation '${{{name}:{text}}}': {name} takes {count} arguments")
    return words


def _argument(word: str, chain: Chain, active: Active) -> Any:
    if "${" in word:
        values = _values(word, word, chain, active)
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


def split_at_commas(text: str) -> list[str]:
    """Return the parts between the commas that stand in no brackets and no quotes, without spaces around."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[({":
            depth += 1
        elif char in "])}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _omegaconf_resolver(name: str, text: str, chain: Chain, active: Active) -> Any:
    """Let OmegaConf parse the arguments and call the resolver; `${...}` in them are ours to resolve."""
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
            value = _filled_in(_value(part, chain, active)[0], shown)
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
    result = to_nodes(from_omegaconf(found))
    if holds_call(result):
        raise InterpolationError(
            f"{shown} gives a call (it has a '_target_'): write calls into the config itself"
        )
    return result
