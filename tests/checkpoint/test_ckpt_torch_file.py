"""Files of torch.save, read by our reader, are what torch itself reads."""

import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from lazycfg.checkpoint import CheckpointError, UnsafeFileError, read_weights
from lazycfg.checkpoint.files import load_tensors

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
    torch.int8, torch.uint8, torch.bool, torch.complex64, torch.uint16, torch.float8_e4m3fn,
]  # fmt: skip


def contents():
    base = torch.arange(24.0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    yield {str(dtype): torch.arange(5).to(dtype) for dtype in DTYPES}
    yield {"view": base[3:9], "other": base[4:6], "t": base.reshape(4, 6).t(), "step": base[::5]}
    yield {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 4), "expanded": torch.ones(1).expand(3, 7)}
    yield {
        "parameter": nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
    }
    yield {"dtype": torch.float16, "complex": 1 + 2j, "bytes": b"ab\xff", "set": {1, "a"}, "big": 2**70}
    yield {"nested": [(1, 2.5, None, True), {"a": {3: "é"}}], "module": model.state_dict()}
    yield OrderedDict(optimizer=optimizer.state_dict(), model=model.state_dict())


def assert_equal(a, b):
    if isinstance(b, torch.Tensor):
        assert (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
        assert a.float().tolist() == b.float().tolist() if not b.is_complex() else a.equal(b)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key, value in b.items():
            assert_equal(a[key], value)
    elif isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b
        assert type(a) is type(b)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("number", range(len(list(contents()))))
def test_as_torch_reads_it(tmp_path, number, legacy):
    content = list(contents())[number]
    if legacy and number == 0:  # which torch itself cannot write in the old format
        del content["torch.uint16"], content["torch.float8_e4m3fn"]
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    read = load_tensors(tmp_path / "x.pth")
    assert_equal(read, torch.load(tmp_path / "x.pth", weights_only=True))


def test_tensors_of_one_storage_stay_together_and_can_be_written_to(tmp_path):
    base = torch.zeros(4)
    torch.save({"a": base, "b": base[1:]}, tmp_path / "x.pth")
    read = load_tensors(tmp_path / "x.pth")
    read["b"].add_(1)
    assert read["a"].tolist() == [0, 1, 1, 1]


def rewrite(source, target, change, compression=zipfile.ZIP_STORED):
    """The zip with other records: ``change(name, data)`` gives the bytes, or None to leave one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            data = change(info.filename.partition("/")[2], old.read(info))
            if data is not None:
                new.writestr(info.filename, data)


@pytest.mark.parametrize(
    ("change", "compression", "said"),
    [
        (lambda name, data: data, zipfile.ZIP_DEFLATED, "is compressed"),
        (lambda name, data: None if name == "data/0" else data, 0, "'0' is missing or of another size"),
        (lambda name, data: data[:-1] if name == "data/0" else data, 0, "missing or of another size"),
        (lambda name, data: b"big" if name == "byteorder" else data, 0, "big-endian"),
        (lambda name, data: None if name == "data.pkl" else data, 0, "not one of torch.save"),
        (
            lambda name, data: data.replace(b"K\x05", b"K\x06") if name == "data.pkl" else data,
            0,
            "another size",
        ),
    ],
)
def test_a_zip_that_torch_did_not_write(tmp_path, change, compression, said):
    torch.save({"w": torch.arange(5.0)}, tmp_path / "x.pth")
    rewrite(tmp_path / "x.pth", tmp_path / "y.pth", change, compression)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_weights(tmp_path / "y.pth")
    assert str(tmp_path / "y.pth") in str(caught.value)


def test_a_changed_byte_is_found(tmp_path):
    torch.save({"w": torch.arange(500.0)}, tmp_path / "x.pth")
    data = bytearray((tmp_path / "x.pth").read_bytes())
    position = data.find(np.arange(500, dtype=np.float32).tobytes()) + 321
    data[position] ^= 1
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"x\.pth.*checksum"):
        read_weights(tmp_path / "x.pth")


def test_a_program_is_refused(tmp_path):
    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    torch.jit.trace(Double(), torch.ones(1)).save(tmp_path / "script.pt")
    with pytest.raises(UnsafeFileError, match="TorchScript"):
        read_weights(tmp_path / "script.pt")
