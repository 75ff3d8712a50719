"""The grammar of command line overrides: text in, `Override` records out. No eval, no config needed.

=====================  ==========================================================================
``a.b=1``              set a key that exists, or a parameter that the target's signature has
``+a.c=2``             add a key that does not exist yet
``++a.c=2``            set or add, without the check against the signature
``~a.d``               delete (``~a.d=1``: only when the value is 1)
``a.list+=[3]``        append the elements
``a.list.0=1``         one element (``-1`` counts from the end)
``a=@pkg.mod.fn``      an imported object; on a call node it replaces the target, arguments stay
``a=@pkg.Cls(x=1)``    a new call, with these arguments and no others
``a=&b.c``             the same object as ``b.c``: shared, built once
``a=file:f.py#b.c``    what another config file has at ``b.c``; without ``#`` the whole file
``**.norm=BN``         every place that matches
=====================  ==========================================================================

Values are Python literals (with ``true``/``false``/``null``/``none`` in YAML's spellings too), where words
inside ``[..]``, ``{..}``, ``(..)`` need no quotes (``{x:1,y:[a,b]}``); everything else is a string, further
``=`` included. A value that opens a bracket or a quote must close it.
"""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from lazycfg.config.tree.paths import BEFORE_EQUALS, BEFORE_KEY

_MAX_DEPTH = 100
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "none", "None", "NONE", "~"), None),
    "...": ...,
    **dict.fromkeys(("inf", "+inf", ".inf", "+.inf"), math.inf),
    **dict.fromkeys(("-inf", "-.inf"), -math.inf),
    **dict.fromkeys(("nan", ".nan"), math.nan),
}
# How a number begins; what Python makes no number of is text, and so is `5-j`, which `complex` would take.
_NUMBER = re.compile(r"[+-]?(?:\.?[0-9]|(?:inf|nan)[jJ+-])(?!.*[+-][jJ])")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_QUOTE = re.compile(r"""([rRbB]{0,2})('''|\"""|'|")""")
_ESCAPE = re.compile(r"\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|\n|.)", re.DOTALL)
_SIMPLE_ESCAPES = dict(zip("abfnrtv\\'\"\n", "\a\b\f\n\r\t\v\\'\"", strict=False)) | {"\n": ""}
_FILE = re.compile(r"file:(?!//)(.+\.(?:py|yaml|yml|json))(?:#(.*))?", re.IGNORECASE)


class GrammarError(ValueError):
    """Text that is not an override; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class ImportRef:
    """``@pkg.mod.name``: a value that is still to be imported."""

    name: str


@dataclass(frozen=True, slots=True)
class ShareRef:
    """``&a.b``: a value that is whatever is at another path of the config."""

    path: str


@dataclass(frozen=True, slots=True)
class CallRef:
    """``@pkg.mod.Cls(x=1)``: a call that is still to be made a node."""

    target: ImportRef
    arguments: dict[str, object]
    raws: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # the text of each


@dataclass(frozen=True, slots=True)
class FileRef:
    """``file:nets/big.py#net``: what another config file has at a path, "" for all of it."""

    file: str
    path: str


Reference = ImportRef | ShareRef | CallRef


@dataclass(frozen=True, slots=True)
class Override:
    """One parsed override. ``path`` is still text; ``value`` may be a `FileRef`, and be or contain an
    `ImportRef`, a `ShareRef` or a `CallRef`; ``raw`` is the text of the value.
    """

    op: str  # `Writer` has a method for each; `tree.paths` has the signs
    path: str
    value: object
    text: str
    has_value: bool = True
    raw: str = ""


def parse_override(text: str) -> Override:
    """Parse one ``key=value`` (or ``~key``) of a command line.

    Raises:
        GrammarError: the text is no override.
    """
    body = text.strip()
    prefix = next((sign for sign in BEFORE_KEY if body.startswith(sign)), "")
    body = body[len(prefix) :].lstrip()
    equals = find_equals(body)
    if equals < 0:
        if prefix == "~" and body:
            return Override("delete", body, None, text, has_value=False)
        hint = " (options of the script come before the overrides)" if body.startswith("-") else ""
        raise GrammarError(f"expected key=value, +key=value or ~key{hint}")
    key, raw = body[:equals].rstrip(), body[equals + 1 :].strip()
    if raw.startswith("="):
        raise GrammarError(f"'==' is not an operator; for text that begins with '=' write {key}={raw!r}")
    value = parse_value(raw)
    op = BEFORE_KEY.get(prefix, "set")
    for sign, operation in BEFORE_EQUALS.items():
        if key.endswith(sign):
            if prefix:
                raise GrammarError(f"{prefix!r} before the key and '{sign}=' after it do not go together")
            op, key = operation, key.removesuffix(sign).rstrip()
            break
    if not key:
        raise GrammarError("missing key before '='")
    if key.startswith("-"):
        raise GrammarError("a key cannot begin with '-' (options of the script come before the overrides)")
    return Override(op, key, value, text, raw=raw)


def find_equals(body: str) -> int:
    """Return the index of the first ``=`` outside a bracketed key such as ``a["x=y"]=1``, or -1."""
    quote, escaped = "", False
    for index, char in enumerate(body):
        if quote:
            quote = "" if char == quote and not escaped else quote
            escaped = char == "\\" and not escaped
        elif char in "'\"" and body[index - 1 : index] == "[":
            quote = char
        elif char == "=":
            return index
    return -1


def parse_value(text: str) -> object:
    """Parse the right-hand side of an override.

    Raises:
        GrammarError: an opened bracket or quote is not closed, or ``@``/``&`` is followed by no name.
    """
    text = text.strip()
    if not text:
        return ""
    parser = _ValueParser(text)
    if text[0] in "[{(@&" or _QUOTE.match(text):
        value = parser.value(stop="")
        parser.expect_end()
        return value
    if text == "set()":
        return set()
    if (file := _file_ref(text)) is not None:
        return file
    known, value = _scalar(text)
    if not known and "," in text:
        return _bare_tuple(text)
    return value


def _bare_tuple(text: str) -> object:
    """Return ``1,2`` as a tuple, as in Python; as soon as one part is no literal, the whole is text."""
    parser = _ValueParser(text)
    try:
        items = parser.items("")
    except GrammarError:
        return text
    return text if parser.saw_word else tuple(items)


def _file_ref(word: str) -> FileRef | None:
    """Return what ``file:nets/big.py#net`` stands for; None for any other word."""
    named = _FILE.fullmatch(word)
    if named is None and "#" in word and re.match("file:(?!//)", word):
        name, _, path = word.partition("#")
        raise GrammarError(
            f"value {word!r}: a config file has a suffix, as in {name}.py#{path} (quote it if it is text)"
        )
    return None if named is None else FileRef(named[1], named[2] or "")


def _scalar(word: str) -> tuple[bool, object]:
    """Return (is it a literal, its value); a word that is none is the string itself."""
    if word in _CONSTANTS:
        return True, _CONSTANTS[word]
    if _NUMBER.match(word):
        # "007" has the form of a float but is no Python number: a string, as an identifier it may be
        is_whole = word.lstrip("+-").replace("_", "").isdigit()
        kinds: tuple[Callable[[str], object], ...] = () if is_whole else (float, complex)
        for kind in (lambda text: int(text, 0), *kinds):
            with suppress(ValueError):
                return True, kind(word)
    return False, word


class _ValueParser:
    """Recursive descent over one value; ``saw_word`` tells whether any bare word was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.depth = 0
        self.saw_word = False

    def fail(self, expected: str) -> GrammarError:
        found = f"found {self.text[self.pos]!r}" if self.pos < len(self.text) else "the value ends"
        return GrammarError(
            f"value {self.text!r}: expected {expected} at column {self.pos + 1}, but {found}"
            f" (quote it if it is text)"
        )

    def skip_space(self) -> None:
        while self.pos < len(self.text) and self.text[self.pos].isspace():
            self.pos += 1

    def peek(self) -> str:
        self.skip_space()
        return self.text[self.pos : self.pos + 1]

    def expect_end(self) -> None:
        if self.peek():
            raise self.fail("the end of the value")

    def value(self, stop: str) -> object:
        """Return one value; a bare word ends before any of the characters in ``stop``."""
        char = self.peek()
        if char in ("[", "(", "{"):
            return self.container(char)
        if char in ("@", "&"):
            return self.reference(char, stop)
        match = _QUOTE.match(self.text, self.pos)
        if match:
            return self.quoted(match)
        return self.word(stop)

    def word(self, stop: str) -> object:
        start = self.pos
        while self.pos < len(self.text) and self.text[self.pos] not in stop + "[]{}()\"'":
            self.pos += 1
        word = self.text[start : self.pos].rstrip()
        if not word:
            raise self.fail("a value")
        if word == "set" and self.text.startswith("()", self.pos):
            self.pos += 2
            return set()
        if (file := _file_ref(word)) is not None:
            return file
        known, value = _scalar(word)
        self.saw_word |= not known
        return value

    def reference(self, char: str, stop: str) -> Reference:
        self.pos += 1
        start = self.pos
        end = stop if char == "&" else f"{stop}("
        while self.pos < len(self.text) and self.text[self.pos] not in end:
            self.pos += 1
        name = self.text[start : self.pos].strip()
        if char == "&":
            if not name:
                self.pos = start
                raise self.fail("a path after '&'")
            return ShareRef(name)
        if not _DOTTED.fullmatch(name):
            self.pos = start
            raise self.fail("a dotted name such as '@torch.nn.ReLU'")
        if self.peek() != "(":
            return ImportRef(name)
        raws: dict[str, str] = {}
        return CallRef(ImportRef(name), self.arguments(raws), raws)

    def arguments(self, raws: dict[str, str]) -> dict[str, object]:
        """Return the arguments of a call: ``(x=1, y=[2])``; put the text of each into `raws`."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise GrammarError(f"value nested deeper than {_MAX_DEPTH} levels")
        self.pos += 1
        found: dict[object, object] = {}
        while self.peek() != ")":
            start = self.pos
            key = self.word("=,)")
            if not isinstance(key, str) or not key.isidentifier() or self.peek() != "=":
                self.pos = start
                raise self.fail("an argument with its name, such as x=1")
            if key == "_target_":
                self.pos = start
                raise self.fail("an argument (the target is the name after '@')")
            self.pos += 1
            before = self.pos
            value = self.value(",)")
            raws[key] = self.text[before : self.pos].strip()
            self.put(found, key, value, start)
            self.separator(")")
        self.pos += 1
        self.depth -= 1
        return {str(key): value for key, value in found.items()}

    def quoted(self, match: re.Match[str]) -> str | bytes:
        prefix, quote = match[1].lower(), match[2]
        pos = match.end()
        while not self.text.startswith(quote, pos):
            pos += 2 if self.text.startswith("\\", pos) else 1
            if pos >= len(self.text):
                raise GrammarError(f"value {self.text!r}: unclosed quote {quote}")
        body = self.text[match.end() : pos]
        self.pos = pos + len(quote)
        if "r" not in prefix:
            body = _ESCAPE.sub(_unescape, body)
        if "b" not in prefix:
            return body
        try:
            return body.encode("latin-1")
        except UnicodeEncodeError:
            raise self.fail("bytes below 256") from None

    def container(self, opening: str) -> object:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise GrammarError(f"value nested deeper than {_MAX_DEPTH} levels")
        self.pos += 1
        try:
            if opening == "[":
                return list(self.items("]"))
            if opening == "{":
                return self.braces()
            start = self.pos
            items = self.items(")")
            grouping = len(items) == 1 and not self.text[start : self.pos - 1].rstrip().endswith(",")
            return items[0] if grouping else tuple(items)
        finally:
            self.depth -= 1

    def items(self, closing: str) -> list[object]:
        """Return values separated by commas up to ``closing`` (to the end of the text when that is empty)."""
        found: list[object] = []
        while True:
            if self.peek() == closing:
                self.pos += len(closing)
                return found
            found.append(self.value("," + closing))
            self.separator(closing)

    def separator(self, closing: str) -> None:
        char = self.peek()
        if char == ",":
            self.pos += 1
        elif char != closing:
            raise self.fail(f"',' or {closing!r}")

    def braces(self) -> dict[object, object] | set[object]:
        if self.peek() == "}":
            self.pos += 1
            return {}
        pairs: dict[object, object] = {}
        is_dict: bool | None = None
        while self.peek() != "}":
            start = self.pos
            key = self.value(",:}" if is_dict is not False else ",}")
            colon = self.peek() == ":"
            if is_dict is None:
                is_dict = colon
            if is_dict:
                if not colon:
                    raise self.fail("':' and a value")
                self.pos += 1
                self.put(pairs, key, self.value(",}"), start)
            else:
                self.put(pairs, key, None, start, unique=False)
            self.separator("}")
        self.pos += 1
        return pairs if is_dict else set(pairs)

    def put(
        self, pairs: dict[object, object], key: object, value: object, start: int, unique: bool = True
    ) -> None:
        try:
            repeated = key in pairs
        except TypeError:
            self.pos = start
            raise self.fail("a hashable key") from None
        if repeated and unique:
            self.pos = start
            raise self.fail(f"another key ({key!r} was given already)")
        pairs[key] = value


def _unescape(match: re.Match[str]) -> str:
    body = match[1]
    if body in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[body]
    if body[0] in "xuU" and len(body) > 1:
        code = int(body[1:], 16)
        return chr(code) if code <= 0x10FFFF else match[0]
    if body[0] in "01234567":
        return chr(int(body, 8))
    return match[0]
