"""Weights by name: downloaded once, whole and checked, or refused with what was wanted and where it goes."""

import io
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from email.message import Message

import pytest
import torch
from safetensors.torch import save
from torch import nn
from weights_server import CONTENT, HALF, MD5, SHA256, serving

from lazycfg.checkpoint import (
    CheckpointError,
    DownloadError,
    UnsafeFileError,
    download,
    load_weights,
    local_weights,
    read_weights,
    remote,
    weights_cache,
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_PAUSES", (0.0, 0.0))
    monkeypatch.delenv("LAZYCFG_OFFLINE", raising=False)
    with serving() as server:
        yield server


def left_in_cache():
    return sorted(path.name for path in weights_cache().rglob("*") if path.is_file())


def refusal(name):
    with pytest.raises(DownloadError) as error:
        local_weights(name)
    return str(error.value)


@pytest.mark.parametrize(
    "kind",
    [
        "ok", "redirect", "breaks-off", "ignores-range", "without-validator", "changes",
        "changes-silently", "wrong-part", "no-such-range", "busy",
    ],
)  # fmt: skip
def test_all_of_a_file_comes_and_nothing_else_is_left(server, kind):
    name = f"{server.url}/{kind}/weights.bin#sha256={SHA256}"
    path = local_weights(name)
    assert path.read_bytes() == CONTENT
    assert left_in_cache() == ["weights.bin"]
    requests = len(server.asked)
    assert local_weights(name) == path
    assert len(server.asked) == requests


def test_what_broke_off_goes_on_where_it_ended(server):
    local_weights(f"{server.url}/breaks-off/weights.bin#sha256={SHA256}")
    assert [part for _, part in server.asked] == [None, f"bytes={HALF}-"]


def test_a_later_process_goes_on_with_the_part_of_an_earlier_one(server):
    assert "the connection ended after 524,288 of 1,048,576 bytes" in refusal(
        f"{server.url}/always-breaks-off/weights.bin"
    )
    folder = weights_cache() / server.url.removeprefix("http://").replace(":", "_")
    assert left_in_cache() == ["weights.bin.lock", "weights.bin.part", "weights.bin.part.etag"]
    (folder / "always-breaks-off").rename(folder / "breaks-off")
    server.asked.clear()
    assert local_weights(f"{server.url}/breaks-off/weights.bin#md5={MD5[:6]}").read_bytes() == CONTENT
    assert [part for _, part in server.asked] == [f"bytes={HALF}-"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "the server answered 404"),
        ("login", "a web page, not the weights"),
        ("packed", r"the server packed it \(gzip\)"),
        ("empty", "the server sent an empty file"),
        ("announces-more", "the connection ended after 1,048,576 of 1,048,586 bytes"),
        ("announces-less", f"of what came the sha256 is .*, its name says {SHA256}"),
        ("to-a-file", "the server answered 302"),
        ("loop", "the server answered 302"),
    ],
)
def test_what_cannot_be_had_says_what_and_where_to_put_it(server, kind, reason):
    url = f"{server.url}/{kind}/weights.bin"
    with pytest.raises(DownloadError, match=reason) as error:
        local_weights(f"{url}#sha256={SHA256}")
    place = weights_cache() / server.url.removeprefix("http://").replace(":", "_") / kind / "weights.bin"
    assert f"from  {url}\n" in str(error.value)
    assert f"put it at  {place}\n" in str(error.value)
    assert str(error.value).endswith("or train without, from random values: train.init_checkpoint=")
    place.write_bytes(CONTENT)  # as the message says
    assert local_weights(f"{url}#sha256={SHA256}") == place


def test_a_url_with_a_space_is_refused_before_it_is_asked_for(server):
    with pytest.raises(CheckpointError, match="write %20"):
        local_weights(f"{server.url}/ok/my weights.bin")
    assert server.asked == []


def test_the_digest_in_a_published_name_is_compared(server, monkeypatch):
    monkeypatch.setattr(remote, "SERVER", server.url)
    good, bad = (f"detectron2://ok/7/model_final_{digits}.pkl" for digits in (MD5[:6], "abcdef"))
    server.files["detectron2"] = CONTENT
    assert local_weights(good).read_bytes() == CONTENT
    of_sha256 = f"detectron2://ok/7/model_final_{SHA256[:6]}.pkl"
    assert local_weights(of_sha256).read_bytes() == CONTENT
    digests = f"the md5 is {MD5[:6]}... and the sha256 is {SHA256[:6]}..."
    assert f"of what came {digests}, its name says abcdef" in refusal(bad)
    assert f"model_final_{MD5[:6]}.pkl" in left_in_cache()
    assert "model_final_abcdef.pkl" not in left_in_cache()


def test_what_hugging_face_says_of_a_file_is_compared(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    path = local_weights("hf://org/good/model.safetensors")
    assert path == weights_cache() / "huggingface/org/good/main/model.safetensors"
    assert path.read_bytes() == CONTENT
    assert "the server says 000000" in refusal("hf://org/bad@v1.0/model.safetensors")


def test_a_damaged_file_in_the_cache_is_not_used(server):
    name = f"{server.url}/ok/weights.bin#sha256={SHA256}"
    path = local_weights(name)
    path.write_bytes(CONTENT[:-1])
    assert f"rm '{path}'" in refusal(name)
    assert path.is_file()


def test_nothing_is_asked_of_a_server_when_that_is_forbidden(server, monkeypatch):
    name = f"{server.url}/ok/weights.bin"
    monkeypatch.setenv("LAZYCFG_OFFLINE", "1")
    assert "LAZYCFG_OFFLINE is set" in refusal(name)
    assert server.asked == []
    monkeypatch.setenv("LAZYCFG_OFFLINE", "0")
    path = local_weights(name)
    monkeypatch.setenv("LAZYCFG_OFFLINE", "1")
    assert local_weights(name) == path


def test_no_server_is_said_at_once(server):
    url = server.url
    server.shutdown()
    server.server_close()
    assert "Connection refused" in refusal(f"{url}/ok/weights.bin")


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path / "file"))
    assert "it cannot be kept" in refusal(f"{server.url}/ok/weights.bin")


def test_of_several_processes_one_downloads(server):
    code = "import sys; from lazycfg.checkpoint import local_weights; print(local_weights(sys.argv[1]))"
    command = [sys.executable, "-c", code, f"{server.url}/ok/weights.bin#sha256={SHA256}"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert paths == {str(local_weights(command[-1]))}
    assert len(server.asked) == 1


def test_a_redirection_never_leaves_https():
    redirects = download._Redirects()
    request = urllib.request.Request("https://a.b/c")
    with pytest.raises(urllib.error.HTTPError, match="away from https"):
        redirects.redirect_request(request, io.BytesIO(), 302, "", Message(), "http://a.b/d")
    assert redirects.redirect_request(request, io.BytesIO(), 302, "", Message(), "https://x.y/d")


def test_weights_are_loaded_by_url(server):
    model = nn.Linear(2, 3)
    server.files["linear"] = save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)})
    load_weights(model, f"{server.url}/linear/model.safetensors")
    assert model.weight.eq(1).all()


def test_what_is_downloaded_is_never_run(server, tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    server.files["attack"] = pickle.dumps({"model": Attack()})
    with pytest.raises(UnsafeFileError):
        read_weights(f"{server.url}/attack/model.pkl")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "url", "place"),
    [
        (
            "detectron2://ImageNetPretrained/MSRA/R-50.pkl",
            "https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MSRA/R-50.pkl",
            "ImageNetPretrained/MSRA/R-50.pkl",
        ),
        (
            "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
            "https://dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/"
            "137849600/model_final_f10217.pkl",
            "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl",
        ),
        (
            "ResNet50_Weights.IMAGENET1K_V2",
            "https://download.pytorch.org/models/resnet50-11ad3fa6.pth",
            "download.pytorch.org/models/resnet50-11ad3fa6.pth",
        ),
        (
            "timm://resnet18.a1_in1k",
            "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors",
            "huggingface/timm/resnet18.a1_in1k/main/model.safetensors",
        ),
        (
            "https://a.b:99/%2e%2E/c%2Fd.pth?x=1#md5=abcdef",
            None,
            None,
        ),
        ("https://a.b:99/c%2Fd.pth?x=1", "https://a.b:99/c%2Fd.pth?x=1", "a.b_99/1f206b11c23e-c%2Fd.pth"),
        ("weights/model.pth", None, ""),
    ],
)
def test_names_and_where_they_lead(name, url, place):
    if place is None:
        with pytest.raises(CheckpointError):
            remote.remote_file(name)
        return
    found = remote.remote_file(name)
    assert (found and found.url) == url
    if found is not None:
        assert (found.place, found.name) == (place, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detectron://R-50.pkl", "did you mean 'detectron2'"),
        ("hf://org/file", "expected hf://ORG/REPO/FILE"),
        ("hf://org/../x/file", "expected hf://ORG/REPO/FILE"),
        ("timm://a/b", "expected timm://MODEL"),
        ("torchvision://resnet50", "such as ResNet50_Weights.IMAGENET1K_V2"),
        ("https://user:secret@a.b/c", "no user or password"),
        ("https://a.b/", "names no file"),
        ("https://a.b/c#sha1=abcdef", "#sha256="),
    ],
)
def test_incomplete_names_are_refused_before_anything_is_asked(name, message):
    with pytest.raises(CheckpointError, match=message) as error:
        local_weights(name)
    assert "secret" not in str(error.value)


def test_a_name_that_is_none_proposes_the_nearest():
    with pytest.raises(FileNotFoundError, match="COCO-Detection/faster_rcnn_R_50_FPN_1x"):
        read_weights("COCO-Detection/faster_rcnn_R50_FPN_1x")


def test_a_file_of_this_machine_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "COCO-Detection" / "faster_rcnn_R_50_FPN_1x"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert local_weights("COCO-Detection/faster_rcnn_R_50_FPN_1x").read_bytes() == CONTENT


def test_the_cache_is_where_xdg_says(tmp_path, monkeypatch):
    monkeypatch.delenv("LAZYCFG_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_cache() == tmp_path / "lazycfg" / "weights"
