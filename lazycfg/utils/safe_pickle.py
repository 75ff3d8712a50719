"""A pickle machine that runs nothing, and whose cost is bounded by the size of the file.

A pickle is a program: whoever wrote it chooses which callables run, and a few bytes can ask for gigabytes (by
the number of a memo entry, by the length of a text that is not there). `SafeUnpickler` calls only what its
reader lists, keys dicts only by plain values, and counts steps.
"""

from __future__ import annotations

import gc
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

__all__ = ["Pending", "SafeUnpickler", "UnsafeFileError", "finish", "ordered_dict", "plain_set", "size_of"]

_MAX_DEPTH = 64  # such files are dicts of dicts of arrays; one nested deeper is broken or hostile
_STEPS, _BYTES_PER_STEP = 1_000_000, 4
_MAX_KEY = 2**60  # larger numbers can be chosen to collide in a dict
_DIGITS, _MEMO_DIGITS = 400, 10  # of a number written as text; of the number of a memo entry


class UnsafeFileError(pickle.UnpicklingError):
    """Raised if a file holds anything but numbers, text and containers. Nothing in it is run."""


class Pending:
    """What a pickle may build; turned into a value of its own kind once the file is read."""

    def set_state(self, state: Any) -> None:
        """Take what the file gives as the state of the object; nothing by default."""

    def finished(self) -> Any:
        """Return the value.

        Raises:
            pickle.UnpicklingError: parts are missing.
        """
        raise pickle.UnpicklingError("the pickle is damaged: it holds a part of an array without the rest")


class _Ordered(dict[Any, Any]):
    """An OrderedDict of the file; what a file sets as its attributes is passed over."""

    __slots__ = ()


def ordered_dict(items: Any = ()) -> dict[Any, Any]:
    """Make what stands for an OrderedDict of a file.

    Raises:
        pickle.UnpicklingError: the items are no list.
    """
    if not isinstance(items, (list, tuple)):
        raise pickle.UnpicklingError("the pickle is damaged: an OrderedDict of no list")
    return _Ordered((_plain_key(key), value) for key, value in items)


def plain_set(items: Any = ()) -> set[Any]:
    """Make what stands for a set of a file.

    Raises:
        pickle.UnpicklingError: the items are no list.
    """
    if not isinstance(items, (list, tuple)):
        raise pickle.UnpicklingError("the pickle is damaged: a set of no list")
    return set(map(_plain_key, items))


def size_of(file: IO[bytes]) -> int:
    """Bytes from here to the end of a seekable file."""
    here = file.tell()
    size = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    return size


class _Source:
    """The bytes of a file, never more than there are, and the number of times that something was read."""

    def __init__(self, file: IO[bytes], *, many_parts: bool) -> None:
        size = size_of(file)
        steps = 2 * size if many_parts else size // _BYTES_PER_STEP
        self._file, self.left, self.steps = file, size, _STEPS + steps

    def read(self, count: int) -> bytes:
        """Return the next bytes.

        Raises:
            pickle.UnpicklingError: there are too many parts.
            EOFError: the file ends.
        """
        self.steps -= 1
        if self.steps < 0:
            raise pickle.UnpicklingError("the pickle has more parts than a file of arrays of its size has")
        if not 0 <= count <= self.left:
            raise EOFError("it ends too early")
        self.left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """Return the next line."""
        line = self._file.readline(self.left)
        self.left -= len(line)
        return line


class SafeUnpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Builds numbers, texts, containers, and what a vocabulary makes of the callables that a file names.

    The pure Python machine: the one in C allocates what a file asks for before it looks whether it is there.

    Args:
        file: opened for reading bytes; a seekable one.
        vocabulary: what stands for a callable of the file, by module and name. A class of `Pending`, or a
            function; a name that is only handed on (a dtype) may be any value that is not callable.
        what: of which kind the file is, for messages.
        persistent: builds an object that is kept outside the pickle from its id; None where there is none.
        many_parts: let a long file consist of small parts only, as the numbers of a training's state.
    """

    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(
        self,
        file: IO[bytes],
        vocabulary: Mapping[tuple[str, str], Any],
        *,
        what: str,
        persistent: Callable[[Any], Any] | None = None,
        many_parts: bool = False,
    ) -> None:
        self._vocabulary, self._what, self._persistent = vocabulary, what, persistent
        super().__init__(_Source(file, many_parts=many_parts), encoding="latin1")

    def read_all(self) -> Any:
        """Everything in the file, finished: `read_parts` and `finish`."""
        return finish(self.read_parts())

    def read_parts(self) -> Any:
        """Return what the file describes, with `Pending` objects in it.

        Raises:
            UnsafeFileError: the file names a class or function that is not in the vocabulary.
            pickle.UnpicklingError: it is damaged.
        """
        with _as_damage(), _no_garbage_collection():
            return self.load()

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of the file.

        Raises:
            UnsafeFileError: it stands for nothing that may be read.
        """
        try:
            return self._vocabulary[module, name]
        except KeyError:
            raise UnsafeFileError(
                f"it refers to {module[:100]}.{name[:100]}, which is not {self._what}; "
                "nothing of it was executed"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects outside the file.

        Raises:
            UnsafeFileError: always.
        """
        if self._persistent is None:
            raise UnsafeFileError("it refers to an object outside the file; nothing of it was executed")
        return self._persistent(pid)

    # -- the steps that differ from the standard ones

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], arguments)

    def _newobj(self) -> None:
        arguments = self.stack.pop()
        self.stack.append(self._call(self.stack.pop(), arguments))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not callable(function) or type(arguments) is not tuple:
            raise pickle.UnpicklingError("the pickle is damaged: it calls what is no function")
        return function(*arguments)

    def _instantiate(self, klass: Any, args: Any) -> None:
        self.append(self._call(klass, tuple(args)))

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Pending):
            target.set_state(state)
        elif not isinstance(target, _Ordered):
            raise UnsafeFileError(
                f"it sets the state of a {type(target).__name__}; nothing of it was executed"
            )

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put(self.stack[-1], [key, value])

    def _setitems(self) -> None:
        items = self.pop_mark()
        self._put(self.stack[-1], items)

    def _dict(self) -> None:
        items = self.pop_mark()
        made: dict[Any, Any] = {}
        self._put(made, items)
        self.append(made)

    def _put(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, dict) or len(items) % 2:
            raise pickle.UnpicklingError("the pickle is damaged: it puts items into what is no dict")
        for i in range(0, len(items), 2):
            target[_plain_key(items[i])] = items[i + 1]

    def _append(self) -> None:
        value = self.stack.pop()
        self._extend(self.stack[-1], [value])

    def _appends(self) -> None:
        items = self.pop_mark()
        self._extend(self.stack[-1], items)

    def _extend(self, target: Any, items: list[Any]) -> None:
        if type(target) is not list:
            raise pickle.UnpicklingError("the pickle is damaged: it appends to what is no list")
        target.extend(items)

    def _empty_set(self) -> None:
        self.append(set())

    def _additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise pickle.UnpicklingError("the pickle is damaged: it adds to what is no set")
        self.stack[-1].update(map(_plain_key, items))

    def _frozenset(self) -> None:
        self.append(frozenset(map(_plain_key, self.pop_mark())))

    def _bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def _frame(self) -> None:
        self.read(8)  # only says how much could be read ahead

    def _text_number(self) -> None:
        digits = self.readline()[:-1]
        self.append(digits == b"01" if digits in (b"00", b"01") else _to_int(digits.removesuffix(b"L")))

    def _get(self) -> None:
        self.append(self.memo[_to_int(self.readline()[:-1], _MEMO_DIGITS)])

    def _text_put(self) -> None:
        self.memo[_to_int(self.readline()[:-1], _MEMO_DIGITS)] = self.stack[-1]

    def _refused(self) -> None:
        raise UnsafeFileError(
            "it asks for an extension or a buffer outside the file; nothing of it was executed"
        )

    for _code, _step in {
        pickle.REDUCE: _reduce,
        pickle.NEWOBJ: _newobj,
        pickle.BUILD: _build,
        pickle.SETITEM: _setitem,
        pickle.SETITEMS: _setitems,
        pickle.DICT: _dict,
        pickle.APPEND: _append,
        pickle.APPENDS: _appends,
        pickle.EMPTY_SET: _empty_set,
        pickle.ADDITEMS: _additems,
        pickle.FROZENSET: _frozenset,
        pickle.BYTEARRAY8: _bytearray8,
        pickle.FRAME: _frame,
        pickle.INT: _text_number,
        pickle.LONG: _text_number,
        pickle.GET: _get,
        pickle.PUT: _text_put,
        pickle.NEWOBJ_EX: _refused,
        pickle.EXT1: _refused,
        pickle.EXT2: _refused,
        pickle.EXT4: _refused,
        pickle.NEXT_BUFFER: _refused,
        pickle.READONLY_BUFFER: _refused,
    }.items():
        dispatch[_code[0]] = _step
    del _code, _step


def finish(value: Any) -> Any:
    """Return `value` with `Pending` objects replaced by what they stand for.

    Raises:
        pickle.UnpicklingError: something is without its data, or containers are nested too deep.
    """
    with _as_damage():
        return _finished(value, 0, {})


@contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged stream fails in many ways (EOFError, IndexError, TypeError, ...)
        detail = f"{type(error).__name__}: {str(error)[:200]}"
        raise pickle.UnpicklingError(f"the pickle is damaged: {detail}") from error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Leave out the collection of garbage, which would go through all that was read again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _to_int(digits: bytes, most: int = _DIGITS) -> int:
    if len(digits) > most:
        raise pickle.UnpicklingError("the pickle is damaged: a number of many digits")
    return int(digits)


def _plain_key(key: Any, *, inside: bool = False) -> Any:
    """Return a key if it is cheap to hash and cannot be chosen to collide.

    Raises:
        pickle.UnpicklingError: it is none.
    """
    if key is None or type(key) in (str, bytes, bool, float) or (type(key) is int and abs(key) < _MAX_KEY):
        return key
    if type(key) is tuple and not inside and len(key) <= 16:
        return tuple(_plain_key(item, inside=True) for item in key)
    raise pickle.UnpicklingError(f"the pickle has a {type(key).__name__} as a key of a dict or in a set")


def _finished(value: Any, depth: int, made: dict[int, Any]) -> Any:
    """See `finish`.

    Args:
        made: what became of each container so far, by its id: one that stands in several places is made once,
            as a file can let the places double at every level.
    """
    if depth > _MAX_DEPTH:
        raise pickle.UnpicklingError(f"the pickle is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, Pending):
        return value.finished()
    if callable(value):
        raise pickle.UnpicklingError("the pickle holds a class or a function")
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in made:
        if isinstance(value, dict):
            made[id(value)] = {key: _finished(item, depth + 1, made) for key, item in value.items()}
        else:
            made[id(value)] = type(value)(_finished(item, depth + 1, made) for item in value)
    return made[id(value)]
