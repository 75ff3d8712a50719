"""Files of weights that are damaged or hostile: each must be refused with our error, soon and cheaply.

Run as a script it tries all of them under a limit of memory and prints, as JSON, what went wrong.
"""

import io
import json
import pickle
import random
import struct
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import nn

SECONDS, MEGABYTES = 2.0, 500


def torch_file(content, *, legacy=False):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def good_files():
    state = {"a.weight": torch.arange(40.0).reshape(8, 5), "a.bias": torch.ones(8), "n": torch.tensor(3)}
    arrays = {key: value.numpy() for key, value in state.items()}
    yield "good.safetensors", save_safetensors(state, metadata={"aliases": json.dumps({"b": "a.bias"})})
    yield "good.pth", torch_file({"model": state, "iteration": 3})
    yield "legacy.pth", torch_file({"model": state}, legacy=True)
    for protocol in (0, 2, 4, 5):
        yield f"protocol{protocol}.pkl", pickle.dumps({"model": arrays, "__author__": "x"}, protocol=protocol)


def damaged_files():
    """Cut off, with flipped bits, with bytes put in and taken out, and filled with noise."""
    rng = random.Random(0)
    for name, data in good_files():
        cuts = [0, 1, 3, 8, 9, len(data) // 4, len(data) // 2, len(data) - 9, len(data) - 1]
        for cut in cuts:
            yield f"cut{cut}-{name}", data[:cut]
        for n in range(24):
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 1, 2, 8))):
                damaged[rng.randrange(len(data) if n % 2 else min(len(data), 200))] ^= 1 << rng.randrange(8)
            yield f"flip{n}-{name}", bytes(damaged)
        for n in range(4):
            place, piece = rng.randrange(len(data)), rng.randbytes(rng.choice((1, 8, 100)))
            yield f"insert{n}-{name}", data[:place] + piece + data[place:]
            yield f"remove{n}-{name}", data[:place] + data[place + len(piece) :]
            yield f"noise{n}-{name}", data[: 16 * n] + rng.randbytes(300)
            yield f"zeros{n}-{name}", data[: 64 * n] + bytes(max(len(data) - 64 * n, 0))


def header(content, data=b""):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape, offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def safetensors_files():
    good = {"w": tensor([2], [0, 8])}
    for name, aliases in {
        "list": "[1]", "text": '"x"', "number": "3", "null": "null", "unknown": '{"a": "gone"}',
        "nested": "[" * 100_000, "unhashable": '{"a": ["w"]}', "broken": "{",
        "long": '{"%s": "w"}' % ("a." * 9999),
    }.items():  # fmt: skip
        yield f"aliases-{name}", header({"__metadata__": {"aliases": aliases}, **good}, bytes(8))
    yield "metadata-number", header({"__metadata__": {"a": 1}, **good}, bytes(8))
    yield "metadata-list", header({"__metadata__": [], **good}, bytes(8))
    yield "no-tensors", header({"__metadata__": {}})
    yield "huge", header({"w": tensor([2**40], [0, 2**42])}, bytes(8))
    yield "overflow", header({"w": tensor([2**62, 2**62], [0, 8])}, bytes(8))
    yield "negative", header({"w": tensor([-2], [0, 8])}, bytes(8))
    yield "backwards", header({"w": tensor([2], [8, 0])}, bytes(8))
    yield "overlap", header({"w": tensor([2], [0, 8]), "v": tensor([2], [4, 12])}, bytes(12))
    yield "dtype", header({"w": tensor([2], [0, 8], "F99")}, bytes(8))
    yield "trailing", header(good, bytes(80))
    yield "deep", header(b"[" * 1_000_000)
    yield "deep-object", header(b'{"a":' * 200_000)
    yield "not-utf8", header(b'{"\xff": 3}')
    yield "length", struct.pack("<Q", 2**63) + b"{}"
    yield "length-50M", struct.pack("<Q", 50_000_000) + b"{" + b" " * 1000
    yield "dots", header({"a." * 500_000: tensor([2], [0, 8])}, bytes(8))
    yield "escape", header({"\x1b[2J": tensor([2], [0, 8])}, bytes(8))


def array_bytes(name, *rest):
    return pickle.dumps({name: np.ones(2, np.float32)}, protocol=2)


def pickle_files():
    """Streams by hand: N is None, }/]/) are empty containers, q/h put and get an entry of the memo."""
    yield "memo", bytes.fromhex("80024e72ffffff0f2e")
    yield "memo-most", bytes.fromhex("80024e72ffffffff2e")
    yield "memo-text", b"\x80\x02Np" + b"9" * 5000 + b"\n."
    yield "memo-collide", b"\x80\x02N" + b"".join(b"p%d\n" % (n * (2**61 - 1)) for n in range(40_000)) + b"."
    yield (
        "key-collide",
        b"\x80\x02}(" + b"".join(b"I%d\nN" % (n * (2**61 - 1)) for n in range(40_000)) + b"u.",
    )
    yield "key-tuple", b"\x80\x02}" + b"N\x85" + b"2\x86" * 60 + b"Ns."
    for code, name in {b"B": "bytes", b"X": "text", b"T": "string"}.items():
        yield f"length-{name}", b"\x80\x03" + code + struct.pack("<I", 2**31 - 9) + b"x."
    for code, name in {b"\x8e": "bytes8", b"\x8d": "text8", b"\x96": "bytearray8", b"\x95": "frame"}.items():
        yield f"length-{name}", b"\x80\x05" + code + struct.pack("<Q", 2**40) + b"x."
        yield f"length-{name}-most", b"\x80\x05" + code + struct.pack("<Q", 2**64 - 1) + b"x."
    yield "lists", b"\x80\x02(" + b"]" * 3_000_000 + b"l."
    yield "dicts", b"\x80\x02(" + b"}" * 3_000_000 + b"l."
    yield "ordered", b"\x80\x02ccollections\nOrderedDict\nq\x00(" + b"h\x00)R" * 1_000_000 + b"l."
    yield "nested", b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b"."
    yield "tuples", b"\x80\x02N" + b"\x85" * 500_000 + b"."
    yield "doubling", b"\x80\x02N" + b"2\x86" * 70 + b"."
    yield "marks", b"(" * 900_000
    yield "digits", b"\x80\x02L" + b"9" * 4000 + b"L\n."
    yield "digits-many", b"I" + b"9" * 1_000_000 + b"\n."
    yield "long4", b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x."
    yield "build-ordered", b"\x80\x02ccollections\nOrderedDict\n)R}U\x05itemsNsb."
    yield "build-dict", b"\x80\x02}}U\x01aNsb."
    yield "call-number", b"\x80\x02K\x01)R."
    yield "append-dict", b"\x80\x02}Na."
    yield "dtype-state", b"\x80\x02cnumpy\ndtype\nU\x02f4\x85RNb."
    yield "dtype-alone", b"\x80\x02cnumpy\ndtype\nU\x02f4\x85R."
    yield "dtype-shape", b"\x80\x02cnumpy\ndtype\nU\x043,f4\x85R."
    yield "dtype-sized", b"\x80\x02cnumpy\ndtype\nX\x0c\x00\x00\x00U500000000\x00\x00\x85R."
    yield "class", b"\x80\x02}U\x01wcnumpy\nndarray\ns."
    yield "utf8", b"\x80\x02X\x01\x00\x00\x00\xff."
    yield "unicode", b"V\\uZZZZ\n."
    yield "float", b"Fx\n."
    yield "string", b"S'a\n."
    yield "stop", b"."
    yield "pop", b"\x80\x020000."
    yield "persistent", b"\x80\x02NQ."
    yield "set", b"\x80\x04\x8f(]\x90."
    yield "ext", b"\x80\x02\x84\xff\xff\xff\x7f."
    one = pickle.dumps(np.zeros(300_000, np.float32), protocol=2)[:-1]
    again = b"cnumpy.core.numeric\n_frombuffer\n(h\x01cnumpy\ndtype\nU\x02f4\x85RM\x02\x00tR"
    yield (
        "same-bytes",
        b"\x80\x03(B" + struct.pack("<I", 10**6) + bytes(10**6) + b"q\x01" + again * 9000 + b"l.",
    )
    encode = b"c_codecs\nencode\n(h\x01U\x06latin1tR"
    yield (
        "same-text",
        b"\x80\x02(X" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x01" + encode * 9000 + b"l.",
    )
    yield "array-cut", one
    yield "shape", pickle.dumps({"w": np.ones(3)}, 2).replace(b"K\x03\x85", b"M\xff\xff\x85", 1)


def zip_of(records, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(f"x/{name}", data)
    return buffer.getvalue()


def view(key="0", numel=2, offset=0, size=(2,), stride=(1,), storage="FloatStorage"):
    """The stream of one tensor, put together by hand."""

    def number(n):
        return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)

    def numbers(ns):
        return b"(" + b"".join(map(number, ns)) + b"t"

    pid = (
        b"(U\x07storagectorch\n" + storage.encode() + b"\nU" + bytes([len(key)]) + key.encode() + b"U\x03cpu"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + number(numel) + b"tQ" + number(offset)
    return tensor + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtR"


def zip_files():
    def one(data=bytes(8), **kwargs):
        return zip_of({"data.pkl": b"\x80\x02}U\x01w" + view(**kwargs) + b"s.", "data/0": data})

    yield "large-numel", one(numel=2**40)
    yield "largest-numel", one(numel=2**62)
    yield "negative-numel", one(numel=-1)
    yield "size", one(size=(3,))
    yield "size-huge", one(size=(2**40,), stride=(0,))
    yield "size-many", one(size=(2**20,) * 3, stride=(0,) * 3)
    yield "size-negative", one(size=(-1,))
    yield "stride-negative", one(stride=(-1,))
    yield "stride-huge", one(stride=(2**62,))
    yield "offset", one(offset=1)
    yield "offset-huge", one(offset=2**60)
    yield "offset-negative", one(offset=-1)
    yield "dims", one(size=(1,) * 300, stride=(1,) * 300)
    yield "dims-unequal", one(size=(1, 2), stride=(1,))
    yield "storage", one(storage="QInt8Storage")
    yield "key", one(key="../../etc/passwd")
    pkl = b"\x80\x02}U\x01w" + view() + b"s."
    yield (
        "deflated-record",
        zip_of({"data.pkl": pkl, "data/0": bytes(500_000_000 // 64)}, zipfile.ZIP_DEFLATED),
    )
    yield "deflated-pkl", zip_of({"data.pkl": b"]" * 100_000_000 + b"."}, zipfile.ZIP_DEFLATED)
    yield "lzma", zip_of({"data.pkl": pkl, "data/0": bytes(8)}, zipfile.ZIP_LZMA)
    yield "bzip2", zip_of({"data.pkl": pkl, "data/0": bytes(8)}, zipfile.ZIP_BZIP2)
    yield "two-pickles", zip_of({"data.pkl": pkl, "y/data.pkl": pkl})
    yield "empty-zip", zip_of({})
    yield "many-names", zip_of({f"{n}": b"" for n in range(50_000)})
    good = zip_of({"data.pkl": pkl, "data/0": bytes(8)})
    at = good.rindex(b"PK\x01\x02")
    for n, (place, what) in enumerate({20: 4, 24: 4, 42: 4, 28: 2, 30: 2, 32: 2, 8: 2, 10: 2}.items()):
        for value in (b"\xff" * what, bytes(what), b"\x7f" * what):
            yield f"directory{n}-{value.hex()}", good[: at + place] + value + good[at + place + what :]
    end = good.rindex(b"PK\x05\x06")
    for place in range(4, 22, 2):
        yield f"end{place}", good[: end + place] + b"\xff\xff" + good[end + place + 2 :]
    # Many names for the same megabyte
    entry = one(bytes(10**6), numel=250_000, size=(250_000,))
    yield "same-record", entry
    views = b"".join(b"U\x04%04d" % n + view() for n in range(9999))
    yield "many-views", zip_of({"data.pkl": b"\x80\x02}(" + views + b"u.", "data/0": bytes(8)})


# What is odd and yet whole may be read; it must only be cheap
MAY_BE_READ = (
    "flip",
    "insert",
    "remove",
    "zeros",
    "dots",
    "escape",
    "same-record",
    "many-views",
    "many-names",
    "directory",
    "end",
)


def hostile_files():
    for kind in (damaged_files, safetensors_files, pickle_files, zip_files):
        for name, data in kind():
            yield f"{kind.__name__}-{name}", data


def main(folder: Path) -> None:
    import resource

    from lazycfg.checkpoint import (
        CheckpointError,
        UnsafeFileError,
        WeightsMismatchError,
        load_weights,
        read_weights,
    )

    read_weights({"w": torch.ones(1)})
    model = nn.ModuleDict({"a": nn.Linear(5, 8)})
    before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    files = []
    for name, data in hostile_files():
        path = folder / f"{len(files):04d}-{name.replace('/', '_')}"
        path.write_bytes(data)
        files.append(path)
    limit = before + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    wrong, slowest = [], 0.0
    for path in files:
        started = time.process_time()
        said = ""
        try:
            load_weights(model, path)
            said = "" if any(f"-{word}" in path.name for word in MAY_BE_READ) else "it was read"
        except (CheckpointError, UnsafeFileError, WeightsMismatchError) as error:
            text = str(error)
            if path.name not in text:
                said = f"does not name the file: {text[:200]}"
            elif not all(c.isprintable() or c == "\n" for c in text):
                said = f"control characters: {text[:200]!r}"
            elif "MemoryError" in text:
                said = "out of memory"
        except BaseException as error:
            said = f"{type(error).__name__}: {str(error)[:200]}"
        seconds = time.process_time() - started
        slowest = max(slowest, seconds)
        if seconds > SECONDS:
            said += f" {seconds:.1f} s"
        if said:
            wrong.append(f"{path.name}: {said}")
    print(json.dumps({"files": len(files), "wrong": wrong, "slowest": slowest}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
