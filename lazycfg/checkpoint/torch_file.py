"""Files of ``torch.save`` read by our own reader: tensors, numbers, texts and containers, nothing else.

``torch.load(weights_only=True)`` is not used. In releases of torch that we support a hostile file can corrupt
memory through it (CVE-2026-24747), and it allocates and inflates whatever a file claims to hold. Here a
tensor's bytes are copied from the file after its sizes have been compared with it, and their checksum is
looked at on the way.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.utils.numpy_pickle import numpy_vocabulary
from lazycfg.utils.safe_pickle import Pending, SafeUnpickler, UnsafeFileError, finish, size_of

__all__ = ["LEGACY_MAGIC", "ZIP_MAGIC", "load_torch_file"]

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
_MOST_TENSORS = 2**18
_MOST_EXPANDED = 2**24  # elements of a tensor that has fewer in memory (a stride of 0)
_WHAT = "a tensor, a number, a text or a container"

_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}  # fmt: skip


def load_torch_file(path: str | Path, *, many_parts: bool = False) -> Any:
    """Read a file of ``torch.save`` onto the CPU, in the zip format or the one before.

    Args:
        path: of the file.
        many_parts: it may hold more numbers beside its tensors than a file of weights has.

    Raises:
        UnsafeFileError: it names anything but tensors and plain containers. Nothing of it was executed.
        pickle.UnpicklingError: it is damaged.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            head = file.read(64)
            file.seek(0)
            if head[:4] == ZIP_MAGIC:
                return _ZipFile(file).content(many_parts)
            if LEGACY_MAGIC in head:
                return _read_legacy(file)
            raise pickle.UnpicklingError("it does not begin as one")
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # of zipfile and struct: there are many
            detail = f"{type(error).__name__}: {str(error)[:200]}"
            raise pickle.UnpicklingError(f"it is damaged: {detail}") from error


class _Storage:
    """The numbers that tensors are views of; `data`, their bytes, comes later."""

    def __init__(self, dtype: torch.dtype, numel: int) -> None:
        self.dtype, self.numel = dtype, numel
        self.data: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        return self.numel * self.dtype.itemsize


class _Storages:
    """The storages that a pickle refers to, by key."""

    def __init__(self) -> None:
        self.found: dict[str, _Storage] = {}

    def find(self, pid: Any) -> _Storage:
        """Return the storage that a reference of the file means.

        Raises:
            UnsafeFileError: it means something else.
            pickle.UnpicklingError: the file is damaged.
        """
        kind, storage_type, key, _, numel, *view = pid if isinstance(pid, tuple) else (None,) * 5
        if (
            kind != "storage"
            or not isinstance(storage_type, _Named)
            or any(part is not None for part in view)
        ):
            raise UnsafeFileError("it refers to an object outside the file; nothing of it was executed")
        if type(numel) is not int or not 0 <= numel < 2**48 or not isinstance(key, str):
            raise pickle.UnpicklingError("it is damaged: a storage without a size")
        storage = self.found.setdefault(key, _Storage(storage_type.dtype, numel))
        if (storage.dtype, storage.numel) != (storage_type.dtype, numel):
            raise pickle.UnpicklingError(f"it is damaged: the storage {key[:40]!r} has two sizes or types")
        return storage


class _Named:
    """A class of torch's that a file only names: a kind of storage, or Parameter."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _View(Pending):
    """A tensor: a view of a storage."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, dtype: torch.dtype) -> None:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("it is damaged: a tensor without a storage")
        if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 64):
            raise pickle.UnpicklingError("it is damaged: a tensor without a shape")
        if any(type(n) is not int or not 0 <= n < 2**48 for n in (offset, *size, *stride)):
            raise pickle.UnpicklingError("it is damaged: a tensor of an impossible shape")
        # In elements of the tensor's own type, which an untyped storage does not know
        there = storage.nbytes // dtype.itemsize
        numel = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if (numel and last >= there) or offset > there or numel > max(there, _MOST_EXPANDED):
            raise pickle.UnpicklingError("it is damaged: a tensor is larger than its data")
        self.storage, self.dtype, self.offset, self.size, self.stride = storage, dtype, offset, size, stride
        self.tensor: Tensor | None = None

    def finished(self) -> Tensor:
        """Return the tensor, in the shape that the file says.

        Raises:
            pickle.UnpicklingError: its data is missing.
        """
        if self.tensor is None:
            data = self.storage.data
            if data is None:
                raise pickle.UnpicklingError("it is damaged: a tensor without its data")
            whole = data[: len(data) // self.dtype.itemsize * self.dtype.itemsize]
            if not len(whole):
                typed = torch.empty(0, dtype=self.dtype)
            else:
                typed = whole.ne(0) if self.dtype is torch.bool else whole.view(self.dtype)
            self.tensor = typed.as_strided(self.size, self.stride, self.offset)
        return self.tensor


def _vocabulary(*, most_bytes: int) -> dict[tuple[str, str], Any]:
    """Return what stands for the callables of a file of torch."""
    left = _MOST_TENSORS

    def view(
        storage: Any, offset: Any, size: Any, stride: Any, dtype: Any = None, flags: Any = None
    ) -> _View:
        nonlocal left
        left -= 1
        if left < 0:
            raise pickle.UnpicklingError(f"it has more than {_MOST_TENSORS} tensors")
        if flags:
            raise pickle.UnpicklingError("it has conjugate or negative views of tensors; save copies of them")
        return _View(
            storage, offset, size, stride, getattr(storage, "dtype", None) if dtype is None else dtype
        )

    def rebuild(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _View:
        return view(storage, offset, size, stride, flags=rest[2] if len(rest) > 2 else None)

    def rebuild_v3(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _View:
        dtype = rest[2]
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("it is damaged: a tensor without a type")
        return view(storage, offset, size, stride, dtype, flags=rest[3] if len(rest) > 3 else None)

    def parameter(data: Any, *_: Any) -> Any:
        return data

    def of_a_type(function: Any, _kind: Any, arguments: Any, *_: Any) -> Any:
        if function not in (rebuild, rebuild_v3, parameter):
            raise UnsafeFileError("it holds a tensor of a class of its own; nothing of it was executed")
        return function(*arguments)

    def size(items: Any = ()) -> tuple[int, ...]:
        return tuple(int(n) for n in items)

    def device(kind: Any, index: Any = None) -> torch.device:
        return torch.device(kind) if index is None else torch.device(kind, index)

    def complex_number(real: Any, imaginary: Any) -> complex:
        return complex(float(real), float(imaginary))

    dtypes = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    storages = {name: _Named(dtype) for name, dtype in _STORAGES.items()}
    return numpy_vocabulary(most_bytes=most_bytes) | {
        **{("torch", name): dtype for name, dtype in dtypes.items()},
        **{(module, name): kind for name, kind in storages.items() for module in ("torch", "torch.cuda")},
        ("torch.storage", "UntypedStorage"): storages["UntypedStorage"],
        ("torch.nn.parameter", "Parameter"): _Named(torch.uint8),
        ("torch", "Tensor"): _Named(torch.uint8),
        ("torch._utils", "_rebuild_tensor"): rebuild,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        ("torch._utils", "_rebuild_tensor_v3"): rebuild_v3,
        ("torch._utils", "_rebuild_parameter"): parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): parameter,
        ("torch._tensor", "_rebuild_from_type_v2"): of_a_type,
        ("torch", "Size"): size,
        ("torch", "device"): device,
        ("builtins", "complex"): complex_number,
        ("__builtin__", "complex"): complex_number,
    }


class _ZipFile:
    """The zip format: a pickle ``data.pkl``, and a record ``data/<key>`` for each storage."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._size = file, size_of(file)
        self._left = self._size  # all records together are no larger than the file
        self._records = {info.filename: info for info in zipfile.ZipFile(file).infolist()}
        tops = [name.removesuffix("data.pkl") for name in self._records if name.endswith("/data.pkl")]
        if len(tops) != 1:
            raise pickle.UnpicklingError("it is a zip file, and not one of torch.save")
        self._top = tops[0]
        if f"{self._top}constants.pkl" in self._records:
            raise UnsafeFileError(
                "it is a TorchScript archive, which is a program; nothing of it was executed"
            )
        order = self._records.get(f"{self._top}byteorder")
        if order is not None and self._read(order).tobytes() != b"little":
            raise pickle.UnpicklingError("its numbers are big-endian; save it again on a usual machine")

    def content(self, many_parts: bool) -> Any:
        """Return what the file holds.

        Raises:
            pickle.UnpicklingError: the file is damaged.
        """
        data = self._read(self._records[f"{self._top}data.pkl"]).tobytes()
        storages = _Storages()
        vocabulary = _vocabulary(most_bytes=4 * len(data))
        parts = SafeUnpickler(
            io.BytesIO(data), vocabulary, what=_WHAT, persistent=storages.find, many_parts=many_parts
        ).read_parts()
        for key, storage in storages.found.items():
            record = self._records.get(f"{self._top}data/{key}")
            if record is None or record.file_size != storage.nbytes:
                raise pickle.UnpicklingError(
                    f"it is damaged: its record {key[:40]!r} is missing or of another size"
                )
            storage.data = torch.from_numpy(self._read(record))
        return finish(parts)

    def _read(self, record: zipfile.ZipInfo) -> np.ndarray:
        size, name = record.file_size, record.filename[-60:]
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != size or record.flag_bits & 1:
            raise pickle.UnpicklingError(f"its record {name!r} is compressed; torch.save never does that")
        self._file.seek(record.header_offset)
        header = self._file.read(30)
        if len(header) < 30 or header[:4] != ZIP_MAGIC:
            raise pickle.UnpicklingError(f"it is damaged: its record {name!r} is not where it should be")
        start = record.header_offset + 30 + sum(struct.unpack("<2H", header[26:30]))
        self._left -= size
        if self._left < 0 or start + size > self._size:
            raise pickle.UnpicklingError("it is damaged: its records claim to be larger than the file")
        self._file.seek(start)
        data = _bytes_of(self._file, size)
        if zlib.crc32(data) != record.CRC:
            raise pickle.UnpicklingError(
                f"it is damaged: the checksum of its record {name!r} is another one (or it was saved with "
                "torch.serialization.set_crc32_options(False); save it again without)"
            )
        return data


def _read_legacy(file: IO[bytes]) -> Any:
    """Read the format before the zip one: pickles of a magic number, a version, the machine, the content and
    the keys of storages; then the storages.
    """
    magic, version, machine = (SafeUnpickler(file, {}, what=_WHAT).read_all() for _ in range(3))
    if magic != int.from_bytes(LEGACY_MAGIC[2:], "little") or version != 1001:
        raise pickle.UnpicklingError("it is not a file of torch.save")
    if not (isinstance(machine, dict) and machine.get("little_endian") is True):
        raise pickle.UnpicklingError("its numbers are big-endian; save it again on a usual machine")
    storages = _Storages()
    vocabulary = _vocabulary(most_bytes=4 * size_of(file))
    parts = SafeUnpickler(file, vocabulary, what=_WHAT, persistent=storages.find).read_parts()
    keys = SafeUnpickler(file, {}, what=_WHAT).read_all()
    if not isinstance(keys, list) or len(keys) != len(storages.found) or set(keys) != set(storages.found):
        raise pickle.UnpicklingError("it is damaged: its list of storages is another one")
    for key in keys:
        storage = storages.found[key]
        (numel,) = struct.unpack("<q", file.read(8))
        if numel != storage.numel or storage.nbytes > size_of(file):
            raise pickle.UnpicklingError("it is damaged: a storage is of another size than the file says")
        storage.data = torch.from_numpy(_bytes_of(file, storage.nbytes))
    return finish(parts)


def _bytes_of(file: IO[bytes], count: int) -> np.ndarray:
    data = np.empty(count, np.uint8)
    if file.readinto(data.data) != count:  # type: ignore[attr-defined]
        raise pickle.UnpicklingError("it is damaged: it ends too early")
    return data
