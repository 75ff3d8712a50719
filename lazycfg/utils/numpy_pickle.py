"""Reading ``.pkl`` files of numpy arrays without running anything they contain.

A pickle is a program: whoever wrote it chooses which callables run. Here the only callables it can name are
the few below, all of our own making, which together can rebuild an array of plain numbers and nothing else.
Not even numpy's own reconstruction functions are reachable, for they accept object arrays.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import IO, Any

import numpy as np

__all__ = ["UnsafeFileError", "load_numpy_pickle"]

_MAX_DEPTH = 16  # such files are dicts of dicts of arrays; one nested deeper is broken or hostile


class UnsafeFileError(pickle.UnpicklingError):
    """A file asks for something other than numbers, texts and containers; nothing of it was run."""


def load_numpy_pickle(file: IO[bytes], *, enums: Collection[str] = ()) -> Any:
    """Load dicts, lists, tuples, texts, numbers and numeric numpy arrays from a pickle.

    Python 2 pickles (as those of Caffe2's model zoo) are read too.

    Args:
        file: opened for reading bytes.
        enums: classes ("module.Name") whose members may be in the file; they are read as plain numbers.

    Raises:
        UnsafeFileError: the file names any other class or function.
        pickle.UnpicklingError: it is damaged.
    """
    try:
        loaded = _NumpyUnpickler(file, encoding="latin1", enums=enums).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged stream fails in many ways (EOFError, IndexError, TypeError, ...)
        raise pickle.UnpicklingError(f"the pickle is damaged: {type(error).__name__}: {error}") from error
    return _finished(loaded, 0, {})


class _NumpyUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], *, encoding: str, enums: Collection[str]) -> None:
        super().__init__(file, encoding=encoding)
        self._vocabulary = _vocabulary(enums)

    def find_class(self, module: str, name: str) -> Any:
        # numpy 2 moved `numpy.core` to `numpy._core`; files of both spellings exist.
        found = self._vocabulary.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise UnsafeFileError(
                f"it refers to {module}.{name}, which is not a numeric numpy array; nothing was executed"
            )
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafeFileError("it refers to an object outside the file; nothing was executed")


class _Pending:
    """What a pickle may build; turned into a numpy value once the file is read."""

    def finished(self) -> Any:
        raise pickle.UnpicklingError("the pickle is damaged: it holds a dtype or an array without its data")


def _vocabulary(enums: Collection[str]) -> dict[tuple[str, str], Callable[..., Any]]:
    # The classes are made afresh for every file, so that a hostile file has no lasting object to tamper with.
    # Each has a __setstate__ of its own: without it, a pickle could write any attribute.

    class Dtype(_Pending):
        def __init__(self, code: str, *_: Any) -> None:
            code = code.decode("latin1") if isinstance(code, bytes) else code
            self.dtype = np.dtype(code) if isinstance(code, str) and len(code) <= 4 else np.dtype(object)
            if self.dtype.kind not in "biuf" or self.dtype.hasobject:
                raise UnsafeFileError(f"it holds an array of {code!r}; only plain numbers are read")

        def __setstate__(self, state: Any) -> None:
            if state[1] in (">", b">"):
                self.dtype = self.dtype.newbyteorder(">")

    class Array(_Pending):
        def __init__(self, *_: Any) -> None:
            self.array: np.ndarray | None = None

        def __setstate__(self, state: Any) -> None:
            _, shape, dtype, fortran, data = state
            self.fill(data, dtype, shape, "F" if fortran else "C")

        def fill(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
            if not isinstance(dtype, Dtype):
                raise pickle.UnpicklingError("the pickle is damaged: an array without a dtype")
            if not isinstance(data, (str, bytes, bytearray)):  # bytes(2**31) would take that many
                raise pickle.UnpicklingError("the pickle is damaged: an array of something else than bytes")
            raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
            flat = np.frombuffer(raw, dtype=dtype.dtype).astype(dtype.dtype.newbyteorder("="))
            shape = tuple(int(n) for n in (shape if isinstance(shape, tuple) else (shape,)))
            self.array = flat.reshape(shape, order="F" if order == "F" else "C")

        def finished(self) -> Any:
            return super().finished() if self.array is None else self.array

    class FromBuffer(Array):
        def __init__(self, data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> None:
            self.fill(data, dtype, shape, order)

    class Scalar(Array):
        def __init__(self, dtype: Any, data: Any) -> None:
            self.fill(data, dtype, (), "C")

        def finished(self) -> Any:
            return super().finished()[()]

    class Name(_Pending):
        """`numpy.ndarray`, of which a file only gives the name."""

        def __init__(self, *_: Any) -> None:
            raise UnsafeFileError("it calls numpy.ndarray; nothing was executed")

        def __setstate__(self, state: Any) -> None: ...

    class Bytes(_Pending):
        """`_codecs.encode` and `bytes()`: how protocol 2 writes bytes."""

        def __new__(cls, text: Any = "", *_: Any) -> Any:
            return text.encode("latin1")

        def __setstate__(self, state: Any) -> None: ...

    class Member(_Pending):
        """A member of an enumeration: its number."""

        def __init__(self, value: Any = None, *_: Any) -> None:
            if type(value) is not int:
                raise UnsafeFileError("it holds a member of an enumeration that is no number")
            self.value = value

        def __setstate__(self, state: Any) -> None: ...

        def finished(self) -> Any:
            return self.value

    named = {tuple(name.rsplit(".", 1)): Member for name in enums}
    return named | {
        ("numpy", "dtype"): Dtype,
        ("numpy", "ndarray"): Name,
        ("numpy.core.multiarray", "_reconstruct"): Array,
        ("numpy.core.multiarray", "scalar"): Scalar,
        ("numpy.core.numeric", "_frombuffer"): FromBuffer,
        ("_codecs", "encode"): Bytes,
        ("__builtin__", "bytes"): Bytes,
        ("collections", "OrderedDict"): OrderedDict,
    }


def _finished(value: Any, depth: int, made: dict[int, Any]) -> Any:
    """`value` with arrays for what stands for them.

    Args:
        made: what became of each container so far, by its id: one that stands in several places is made once,
            as a file can let the places double at every level.
    """
    if depth > _MAX_DEPTH:
        raise pickle.UnpicklingError(f"the pickle is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, _Pending):
        return value.finished()
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in made:
        if isinstance(value, dict):
            made[id(value)] = {key: _finished(item, depth + 1, made) for key, item in value.items()}
        else:
            made[id(value)] = type(value)(_finished(item, depth + 1, made) for item in value)
    return made[id(value)]
