"""Reading ``.pkl`` files of numpy arrays without running anything they contain.

The only callables that such a file can name are the few below, all of our own making, which together can
rebuild an array of plain numbers and nothing else. Not even numpy's own reconstruction functions are
reachable, for they accept object arrays.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from typing import IO, Any

import numpy as np

from .safe_pickle import Pending, SafeUnpickler, UnsafeFileError, ordered_dict, plain_set, size_of

__all__ = ["load_numpy_pickle", "numpy_vocabulary"]


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
    vocabulary = numpy_vocabulary(enums, most_bytes=4 * size_of(file))
    return SafeUnpickler(file, vocabulary, what="a numeric numpy array").read_all()


def numpy_vocabulary(enums: Collection[str] = (), *, most_bytes: int) -> dict[tuple[str, str], Any]:
    """Return what stands for numpy's callables in a file, for `SafeUnpickler`.

    Args:
        enums: as in `load_numpy_pickle`.
        most_bytes: how much all arrays together may take, since a file can name the same bytes many times.

    Raises:
        pickle.UnpicklingError: (while reading) the file would take more memory than `most_bytes`.
    """
    left = most_bytes

    def spend(count: int) -> None:
        nonlocal left
        left -= count
        if left < 0:
            raise pickle.UnpicklingError("the pickle uses the same bytes for many arrays")

    # The classes are made afresh for every file, so that a hostile file has no lasting object to tamper with.

    class Dtype(Pending):
        def __init__(self, code: str, *_: Any) -> None:
            code = code.decode("latin1") if isinstance(code, bytes) else code
            self.dtype = np.dtype(code) if isinstance(code, str) and len(code) <= 4 else np.dtype(object)
            if self.dtype.kind not in "biuf" or self.dtype.hasobject:
                raise UnsafeFileError(f"it holds an array of {code!r}; only plain numbers are read")

        def set_state(self, state: Any) -> None:
            if state[1] in (">", b">"):
                self.dtype = self.dtype.newbyteorder(">")

    class Array(Pending):
        def __init__(self, *_: Any) -> None:
            self.array: np.ndarray | None = None

        def set_state(self, state: Any) -> None:
            _, shape, dtype, fortran, data = state
            self.fill(data, dtype, shape, "F" if fortran else "C")

        def fill(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
            if not isinstance(dtype, Dtype):
                raise pickle.UnpicklingError("the pickle is damaged: an array without a dtype")
            if not isinstance(data, (str, bytes, bytearray)):  # bytes(2**31) would take that many
                raise pickle.UnpicklingError("the pickle is damaged: an array of something else than bytes")
            spend(len(data))
            raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
            flat = np.frombuffer(raw, dtype=dtype.dtype).astype(dtype.dtype.newbyteorder("="), copy=False)
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

    class Name(Pending):
        """`numpy.ndarray`, of which a file only gives the name."""

        def __init__(self, *_: Any) -> None:
            raise UnsafeFileError("it calls numpy.ndarray; nothing of it was executed")

    class Bytes(Pending):
        """`_codecs.encode` and `bytes()`: how protocol 2 writes bytes."""

        def __new__(cls, text: Any = "", *_: Any) -> Any:
            spend(len(text))
            return text.encode("latin1")

    class Member(Pending):
        """A member of an enumeration: its number."""

        def __init__(self, value: Any = None, *_: Any) -> None:
            if type(value) is not int:
                raise UnsafeFileError("it holds a member of an enumeration that is no number")
            self.value = value

        def finished(self) -> Any:
            return self.value

    vocabulary: dict[tuple[str, str], Any] = {(*name.rsplit(".", 1),): Member for name in enums}  # type: ignore[misc]
    vocabulary |= {
        ("numpy", "dtype"): Dtype,
        ("numpy", "ndarray"): Name,
        ("_codecs", "encode"): Bytes,
        ("__builtin__", "bytes"): Bytes,
        ("__builtin__", "set"): plain_set,
        ("builtins", "set"): plain_set,
        ("collections", "OrderedDict"): ordered_dict,
    }
    for core in ("numpy.core", "numpy._core"):  # numpy 2 moved it
        vocabulary[f"{core}.multiarray", "_reconstruct"] = Array
        vocabulary[f"{core}.multiarray", "scalar"] = Scalar
        vocabulary[f"{core}.numeric", "_frombuffer"] = FromBuffer
    return vocabulary
