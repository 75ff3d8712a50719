"""Configs as YAML: anchors for shared nodes, a few tags of our own, read by the scanner of `yaml.SafeLoader`.

No tag constructs an object while the text is parsed; see `decode` for what happens to them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any

from lazycfg.config.formats.data_writer import DataDocument, document
from lazycfg.config.formats.document import DataFileError, SaveError, Tagged
from lazycfg.config.formats.encode import encode_for_log
from lazycfg.config.formats.file_positions import Spot, Written, YamlMapping
from lazycfg.config.formats.items import Item
from lazycfg.config.plain_values import LARGEST_HASHED, MOST_DIGITS, MOST_LARGE
from lazycfg.config.tree.node import Node, raw_contains, raw_items, raw_set
from lazycfg.config.tree.position import FilePosition, set_position
from lazycfg.config.tree.repr import short_repr

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"])
_PRINTABLE = re.compile(
    r"[\x20-\x21\x23-\x5b\x5d-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_STANDARD = "tag:yaml.org,2002:"
_PYTHON = f"{_STANDARD}python/"
_PYTHON_KINDS = {
    "name": "name",
    "object": "python_object",
    "object/apply": "python_call",
    "object/new": "python_call",
}
_SCALARS = frozenset(["str", "int", "float", "bool", "null", "timestamp", "binary", "value"])
_MOST_BITS = int(MOST_DIGITS * 3.32)  # Python writes no longer integers as text


def to_yaml(cfg: Any) -> str:
    """Return ``cfg`` as YAML text.

    Raises:
        SaveError: something in it cannot be kept in YAML; all such places are named.
        CycleError: the config contains itself.
    """
    made, _ = document(cfg)
    return _Writer(made).text()


def to_log_yaml(cfg: Any) -> str:
    """Return a config as YAML for people to read, whatever it holds.

    What `to_yaml` would refuse becomes text with the tag ``!unkept``; a file that has one says at its top
    that it is for reading, and loading it is refused.

    Raises:
        CycleError: the config contains itself.
    """
    item, problems = encode_for_log(cfg)
    text = _Writer(DataDocument(item)).text()
    if not problems:
        return text
    return f"# for reading only: {len(problems)} of the values cannot be kept in a file (!unkept)\n{text}"


class _Writer:
    def __init__(self, made: DataDocument) -> None:
        self.document = made
        self.anchors: dict[int, str] = {}

    def text(self) -> str:
        """Return the document."""
        lines = self._pairs(self.document.head, 0)
        hoisted = self.document._hoisted_items
        if hoisted:
            lines.append("_shared_:")
            for item in hoisted:
                lines += self._entry("- ", item, 2)
        lines += self._pairs([*self.document.body, *self.document.tail], 0)
        return "\n".join(lines or ["{}"]) + "\n"

    def _pairs(self, pairs: Iterable[tuple[str, Any]], indent: int) -> list[str]:
        lines: list[str] = []
        for key, value in pairs:
            lines += self._entry(f"{_scalar(key)}:", value, indent)
        return lines

    def _entry(self, head: str, value: Any, indent: int) -> list[str]:
        """Return the lines of ``key: value`` or ``- value``."""
        pad = " " * indent
        if isinstance(value, str) and "\n" in value and _is_literal(value):
            # the explicit indentation: the text itself may begin with blanks
            body = [f"{pad}  {line}" if line else "" for line in value.split("\n")[:-1]]
            return [f"{pad}{head} |2", *body] if head.endswith(":") else [f"{pad}{head}|2", *body]
        known = self.anchors.get(id(value)) if isinstance(value, Item) else None
        gap = " " if head.endswith(":") else ""
        if known is not None:
            return [f"{pad}{head}{gap}*{known}"]
        prefix, payload = self._prefix(value)
        flat = self._flat(payload)
        if flat is not None:
            text = f"{prefix} {flat}" if prefix else flat
            if len(text) + len(pad) + len(head) < _WIDTH or not isinstance(payload, list | dict):
                return [f"{pad}{head}{gap}{text}"]
        block = self._block(payload, indent + 2)
        if not head.endswith(":") and not prefix:
            return [f"{pad}{head}{block[0][indent + 2 :]}", *block[1:]]
        return [f"{pad}{head}{gap if prefix else ''}{prefix}".rstrip(), *block]

    def _prefix(self, value: Any) -> tuple[str, Any]:
        """Return anchor and tag of a value, and its payload."""
        if not isinstance(value, Item):
            return "", value
        parts = []
        if id(value) in self.document.shared or id(value) in self.document.hoisted:
            name = self.document.hoisted.get(id(value)) or self.document.name(value)
            name = f"{name.rpartition('_')[0]}_{len(self.anchors) + 1}"
            self.anchors[id(value)] = name
            parts.append(f"&{name}")
        tag, payload = self.document.shape(value)
        if tag is not None:
            parts.append(f"!{tag}")
        return " ".join(parts), payload

    def _flat(self, payload: Any) -> str | None:
        """Return a payload on one line, when nothing in it has an anchor or parts of its own."""
        if isinstance(payload, dict):
            return None if payload else "{}"
        if isinstance(payload, list):
            texts = [self._flat_element(element) for element in payload]
            return None if None in texts else f"[{', '.join(t for t in texts if t is not None)}]"
        return _scalar(payload)

    def _flat_element(self, value: Any) -> str | None:
        if not isinstance(value, Item):
            return self._flat(value)
        if (
            id(value) in self.anchors
            or id(value) in self.document.shared
            or id(value) in self.document.hoisted
        ):
            return f"*{self.anchors[id(value)]}" if id(value) in self.anchors else None
        tag, payload = self.document.shape(value)
        flat = self._flat(payload)
        return flat if flat is None or tag is None else f"!{tag} {flat}"

    def _block(self, payload: Any, indent: int) -> list[str]:
        if isinstance(payload, dict):
            return self._pairs(payload.items(), indent)
        lines: list[str] = []
        for value in payload:
            lines += self._entry("- ", value, indent)
        return lines


def _is_literal(text: str) -> bool:
    return (
        text.endswith("\n")
        and text.strip("\n") != ""
        and not text.endswith("\n\n")
        and all(_PRINTABLE.match(c) or c in '\n"\\' for c in text)
    )


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return str(value)
    return '"' + "".join(_character(c) for c in value) + '"'


def _float(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else text


def _character(char: str) -> str:
    if _PRINTABLE.match(char):
        return char
    if char in '"\\':
        return f"\\{char}"
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        raise SaveError(
            [f"text with the lone surrogate {code:#x} cannot be kept in YAML; .py and .json keep it"]
        )
    if char == "\n":
        return "\\n"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# ------------------------------------------------------------------------------- reading


def parse_yaml(data: bytes, file: str) -> Any:
    """Return nodes, lists, scalars and `Tagged` values of a YAML text.

    Raises:
        DataFileError: the text is no YAML, or has a tag of another loader.
        ImportError: PyYAML is not installed.
    """
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(f"{file}: reading YAML needs PyYAML: pip install pyyaml") from None

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # That of Python counts the mark at the beginning of a text as a character.
    encoding = "utf-16" if data[:2] in _UTF16 else "utf-8" if loader is yaml.SafeLoader else "utf-8-sig"
    try:
        return _Composer(loader(data), yaml, file, data.decode(encoding, "replace")).compose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = file if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        context = getattr(error, "context", None)
        raise DataFileError(f"{place}: not valid YAML: {reason}{f', {context}' if context else ''}") from None
    except UnicodeDecodeError as error:
        raise DataFileError(f"{file}: not valid UTF-8: {error}") from None


_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class _Frame:
    """A collection that is being read."""

    __slots__ = ("anchor", "key", "merges", "spot", "tag", "value", "written")

    def __init__(self, value: Any, tag: Tagged | None, anchor: str | None, written: Written):
        self.value = value
        self.tag = tag
        self.anchor = anchor
        self.written = written
        self.key: Any = _NO_KEY
        self.spot: Spot = (0, 0)  # of the key
        self.merges: list[Any] = []


_MOST_MERGED = 1_000_000  # a short text can ask for the square of its length
_NO_KEY: Any = object()
_MERGE: Any = object()


class _Composer:
    """Events to values, without recursion."""

    def __init__(self, loader: Any, yaml: Any, file: str, text: str) -> None:
        self.loader = loader
        self.yaml = yaml
        self.file = file
        self.text = text
        self.anchors: dict[str, tuple[Any, Written]] = {}
        self.open: set[str] = set()
        self.stack: list[_Frame] = []
        self.result: Any = None
        self.documents = 0
        self.merged = 0
        self.large = 0

    def compose(self) -> Any:
        """Return the items of the document; raises DataFileError if there are several."""
        yaml = self.yaml
        try:
            while self.loader.check_event():
                event = self.loader.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    self.documents += 1
                    if self.documents > 1:
                        raise self._error(event, "a config is one document, not several")
                elif isinstance(event, yaml.AliasEvent):
                    self._alias(event)
                elif isinstance(event, yaml.ScalarEvent):
                    self._scalar(event)
                elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                    self._begin(event, isinstance(event, yaml.MappingStartEvent))
                elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                    self._end(event)
        finally:
            self.loader.dispose()
        return Node() if self.result is None else self.result

    def _error(self, event: Any, message: str) -> DataFileError:
        mark = event.start_mark
        return DataFileError(f"{self.file}:{mark.line + 1}:{mark.column + 1}: {message}")

    def _alias(self, event: Any) -> None:
        if event.anchor in self.open:
            raise self._error(
                event, f"*{event.anchor} is inside &{event.anchor}: a config cannot contain itself"
            )
        if event.anchor not in self.anchors:
            raise self._error(event, f"there is no anchor &{event.anchor} above")
        value, written = self.anchors[event.anchor]
        self._put(value, written._replace(spot=_spot(event)), event)

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self.loader.resolve(self.yaml.ScalarNode, event.value, event.implicit)
        if tag == f"{_STANDARD}merge":
            value = _MERGE
        elif tag.startswith(_PYTHON):
            value = self._python(event, tag, event.value)
        elif tag.startswith(_STANDARD):
            value = self._plain(event, tag)
        else:
            value = self._tagged(event, tag, event.value)
        written = _written(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = value, written
        self._put(value, written, event)

    def _plain(self, event: Any, tag: str) -> Any:
        """Return the value of a scalar with a standard tag."""
        kind = tag.removeprefix(_STANDARD)
        if kind not in _SCALARS:
            raise self._error(event, f"the tag {tag[:80]!r} is not known, or not for text")
        if kind in ("int", "float") and len(event.value) > MOST_DIGITS:
            raise self._error(event, f"a number of more than {MOST_DIGITS:,} characters")
        node = self.yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            value = self.loader.construct_object(node)
            if kind == "binary":  # PyYAML passes over what is no base64
                value = base64.b64decode("".join(event.value.split()), validate=True)
        except (ValueError, TypeError, OverflowError, LookupError, AttributeError):
            raise self._error(event, f"{event.value[:80]!r} is not of the type !!{kind}") from None
        if type(value) is int and value.bit_length() > _MOST_BITS:
            raise self._error(event, f"an integer of more than {MOST_DIGITS:,} digits")
        return value

    def _tagged(self, event: Any, tag: str, payload: Any) -> Tagged:
        if not tag.startswith("!") or not tag[1:].isidentifier():
            raise self._error(event, f"the tag {tag!r} is not known")
        return Tagged(tag[1:], payload, FilePosition(self.file, *_spot(event)))

    def _python(self, event: Any, tag: str, payload: Any) -> Any:
        """Return the value of a tag that `yaml.dump` writes for objects of Python, as detectron2 saves them:
        names and calls, which the trust policy judges as it does our own.
        """
        kind, _, name = tag.removeprefix(_PYTHON).partition(":")
        if kind == "tuple" and isinstance(payload, list):
            return self._tagged(event, "!tuple", payload)
        if kind in ("str", "unicode") and isinstance(payload, str):
            return payload
        if kind == "none" and isinstance(payload, str):
            return None
        if kind in _PYTHON_KINDS and name and (kind != "name" or payload == ""):
            named = self._tagged(event, "!name", name)
            return (
                named if kind == "name" else self._tagged(event, f"!{_PYTHON_KINDS[kind]}", [named, payload])
            )
        raise self._error(event, f"the tag '!!{tag.removeprefix(_STANDARD)[:80]}' is not read")

    def _begin(self, event: Any, mapping: bool) -> None:
        tag = event.tag
        if tag in (f"{_STANDARD}map", f"{_STANDARD}seq", "!"):
            tag = None
        written = _written(event)
        if mapping:
            value: Any = Node()
            set_position(value, YamlMapping(self.file, written.spot, self.text, written.parts))
        else:
            value = []
        if tag is None:
            result = value
        elif tag.startswith(_PYTHON):
            result = self._python(event, tag, value)
        else:
            result = self._tagged(event, tag, value)
        if event.anchor is not None:
            self.anchors[event.anchor] = result, written
            self.open.add(event.anchor)
        self.stack.append(
            _Frame(value, result if isinstance(result, Tagged) else None, event.anchor, written)
        )

    def _end(self, event: Any) -> None:
        frame = self.stack.pop()
        self.open.discard(frame.anchor or "")
        for merged in frame.merges:
            self.merged += len(merged)
            if self.merged > _MOST_MERGED:
                raise self._error(event, f"'<<' brings more than {_MOST_MERGED:,} keys into the file")
            for key, value in raw_items(merged):
                if not raw_contains(frame.value, key):
                    raw_set(frame.value, key, value)
        written = frame.written
        if written.end:  # else it goes over several lines
            written = written._replace(end=event.end_mark.index)
            if frame.anchor is not None:
                self.anchors[frame.anchor] = self.anchors[frame.anchor][0], written
        self._put(frame.value if frame.tag is None else frame.tag, written, event)

    def _put(self, value: Any, written: Written, event: Any) -> None:
        if not self.stack:
            self.result = value
            return
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            if value is _MERGE:
                value = "<<"
            frame.written.parts[len(frame.value)] = written
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            if isinstance(value, Node | list | Tagged):
                raise self._error(event, "a key is text, a number, a truth value or null")
            if value is not _MERGE and raw_contains(frame.value, value):
                raise self._error(event, f"duplicate key {short_repr(value)}")
            if type(value) is int and abs(value) >= LARGEST_HASHED:
                self.large += 1
                if self.large > MOST_LARGE:
                    raise self._error(event, f"more than {MOST_LARGE:,} keys of more than 18 digits")
            frame.key, frame.spot = value, written.spot
        else:
            if frame.key is _MERGE:
                self._merge(frame, value, event)
            else:
                raw_set(frame.value, frame.key, value)
                frame.written.parts[frame.key] = written._replace(spot=frame.spot)
            frame.key = _NO_KEY

    def _merge(self, frame: _Frame, value: Any, event: Any) -> None:
        for merged in value if isinstance(value, list) else [value]:
            if type(merged) is not Node:
                raise self._error(event, "'<<' takes a mapping or a list of mappings")
            frame.merges.append(merged)


def _spot(event: Any) -> Spot:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _written(event: Any) -> Written:
    """Return where a scalar, or the beginning of a collection, stands."""
    start = event.start_mark.index
    is_block = getattr(event, "flow_style", None) is False
    return Written(_spot(event), start, 0 if is_block else event.end_mark.index, {})
