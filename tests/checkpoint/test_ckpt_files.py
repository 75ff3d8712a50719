"""Reading weights of every format, and refusing those that would run code."""

import io
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lazycfg.checkpoint import UnsafeFileError, read_weights

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.half": np.arange(4, dtype=np.float16),
    "a.fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "a.big_endian": np.arange(3, dtype=">f4"),
    "a.count": np.array(7, dtype=np.int64),
    "a.empty": np.zeros((0, 4), np.float32),
}


def assert_same(state, expected):
    assert list(state) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(state[key].numpy(), value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_pickle_of_every_protocol(tmp_path, protocol):
    content = {"model": ARRAYS, "__author__": "Detectron2 Model Zoo", "iteration": np.int64(3)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    weights = read_weights(tmp_path / "x.pkl")
    assert_same(weights.state, ARRAYS)
    assert weights.author == "Detectron2 Model Zoo"
    weights.state["a.weight"].add_(1)  # writable


def test_pickle_written_by_python_2(tmp_path):
    # The spelling of Python 2 and old numpy: module names without underscore, bytes as str.
    array = np.array([1.5, -2.0], dtype="<f4")
    raw = array.tobytes()
    stream = (
        b"\x80\x02}U\x05blobs}U\x07conv1_wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(raw)]) + raw + b"tbss."
    )
    (tmp_path / "old.pkl").write_bytes(stream)
    assert_same(read_weights(tmp_path / "old.pkl").state, {"conv1_w": array})


@pytest.mark.parametrize("wrapper", [None, "model", "model_state", "state_dict"])
@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files(tmp_path, wrapper, legacy):
    state = OrderedDict(w=torch.arange(3.0), h=torch.ones(2, dtype=torch.float16))
    content = {wrapper: state, "iteration": 3, "optimizer": {"state": {}}} if wrapper else state
    torch.save(content, tmp_path / "x.anything", _use_new_zipfile_serialization=not legacy)
    weights = read_weights(tmp_path / "x.anything")
    assert_same(weights.state, {"w": np.arange(3.0, dtype=np.float32), "h": np.ones(2, np.float16)})
    assert weights.format == "torch"


def test_safetensors(tmp_path):
    save_file({"w": torch.arange(3.0)}, tmp_path / "x.pth")  # the suffix does not matter
    assert_same(read_weights(tmp_path / "x.pth").state, {"w": np.arange(3.0, dtype=np.float32)})


def test_mapping_of_arrays():
    assert_same(read_weights({"model": {"w": np.ones(2)}}).state, {"w": np.ones(2)})


# -- files that want to run something


class Run:
    """Pickles into a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _build_attack(marker):
    """BUILD on a class of the vocabulary: sets attributes if it is let."""
    return (
        b"\x80\x02cnumpy\ndtype\n}(U\x0c__setstate__cos\nsystem\nub"
        b"U" + bytes([len(marker) + 6]) + b"touch " + marker + b"b."
    )


def attacks(marker: Path):
    touch = f"touch {marker}"
    yield "os.system", pickle.dumps({"model": {"w": np.ones(2), "x": Run(os.system, touch)}})
    yield "eval", pickle.dumps({"w": Run(eval, f"open({str(marker)!r}, 'w')")}, protocol=2)
    yield "exec", pickle.dumps(Run(exec, f"open({str(marker)!r}, 'w')"), protocol=0)
    yield "open", pickle.dumps([Run(open, str(marker), "w")])
    yield "subprocess", pickle.dumps({"model": Run(subprocess.check_call, ["touch", str(marker)])})
    yield "getattr", b"cbuiltins\ngetattr\n(cos\nS'system'\ntR(S'" + touch.encode() + b"'\ntR."
    yield "import", b"cbuiltins\n__import__\n(S'os'\ntR."
    yield "instance", b"(S'" + touch.encode() + b"'\nios\nsystem\n."
    yield "object", b"\x80\x02(cos\nsystem\nS'" + touch.encode() + b"'\no."
    yield "newobj", b"\x80\x02csubprocess\nPopen\n(S'touch'\nS'" + str(marker).encode() + b"'\nlt\x81."
    yield "numpy alias", b"cnumpy.core.multiarray\nos.system\n(S'" + touch.encode() + b"'\ntR."
    yield "dotted", pickle.dumps({"w": np.ones(1)}, 4).replace(b"\x8c\x05dtype", b"\x8c\x05array")
    yield "load", pickle.dumps(Run(np.load, str(marker)))
    yield "object array", pickle.dumps({"w": np.array([Run(os.system, touch)], dtype=object)})
    yield "object array without code", pickle.dumps({"w": np.array([1, "x"], dtype=object)})
    yield "structured", pickle.dumps({"w": np.zeros(2, dtype=[("a", "f4")])})
    yield "persistent", b"Pevil\n."
    yield "extension", b"\x80\x02\x82\x01."
    yield "build", _build_attack(str(marker).encode())
    yield "call ndarray", b"\x80\x02cnumpy\nndarray\n(K\x02tR."
    yield "dtype with metadata", b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87R."
    nested = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
    yield "nested", nested


ATTACKS = [name for name, _ in attacks(Path("unused"))]


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_hostile_pickles_run_nothing(tmp_path, name, suffix):
    marker = tmp_path / "marker"
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(dict(attacks(marker))[name])
    with pytest.raises((UnsafeFileError, ValueError)) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_hostile_torch_file_runs_nothing(tmp_path, legacy):
    marker = tmp_path / "marker"
    content = {"model": {"w": torch.ones(2)}, "extra": Run(os.system, f"touch {marker}")}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeFileError, match="nothing of it was executed") as caught:
        read_weights(tmp_path / "evil.pth")
    assert "weights_only=False" not in str(caught.value)
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(dict(attacks(marker))["os.system"])
    assert marker.exists()


def test_a_hostile_file_leaves_nothing_for_the_next(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(_build_attack(b"x"))
    with pytest.raises((UnsafeFileError, ValueError)):
        read_weights(tmp_path / "evil.pkl")
    (tmp_path / "good.pkl").write_bytes(pickle.dumps(ARRAYS))
    assert_same(read_weights(tmp_path / "good.pkl").state, ARRAYS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_pickles_are_errors_or_arrays(tmp_path, data):
    stream = bytearray(
        pickle.dumps({"model": {"w": np.ones((2, 3), np.float32)}}, data.draw(st.integers(0, 5)))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x.pkl").write_bytes(stream)
    state = {}
    with suppress(UnsafeFileError, ValueError):
        state = read_weights(tmp_path / "x.pkl").state
    assert all(isinstance(value, torch.Tensor) for value in state.values())


# -- files that are no weights


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x80\x02", pickle.dumps(ARRAYS)[:-40], pickle.dumps([1, 2]), pickle.dumps({"a": 1})],
)
def test_other_files_are_named(tmp_path, content):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pkl"):
        read_weights(tmp_path / "x.pkl")


def test_truncated_torch_file(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(100)}, buffer)
    (tmp_path / "x.pth").write_bytes(buffer.getvalue()[:-200])
    with pytest.raises(ValueError, match=r"x\.pth.*damaged"):
        read_weights(tmp_path / "x.pth")


def test_zip_that_is_no_torch_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(ValueError, match=r"x\.pth"):
        read_weights(tmp_path / "x.pth")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_weights(tmp_path / "nowhere.pth")


def test_containers_that_multiply_are_made_once(tmp_path):
    """A thousand places for each list, twelve levels deep: a dozen lists in all."""
    inner = [np.ones(2)]
    for _ in range(12):
        inner = [inner] * 1000
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"model": {"w": np.ones(3)}, "other": inner}))
    assert_same(read_weights(tmp_path / "x.pkl").state, {"w": np.ones(3)})
