"""`lazycfg weights`: the table, the exit status, and the file that is written."""

import pytest
import torch
import torchvision

from lazycfg.checkpoint import read_weights
from lazycfg.cli import main


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.save(torchvision.models.resnet50().state_dict(), file)
    return file


def test_a_table_and_a_file(resnet, tmp_path, capsys):
    out = tmp_path / "ours.pth"
    assert main(["weights", str(resnet), "-o", str(out), "--to", "detectron2"]) == 0
    said = capsys.readouterr().out
    assert "320 tensors of" in said
    assert "layer1.#.downsample.1.*\n       -> res2.#.shortcut.norm.*" in said
    assert f"wrote {out}" in said
    assert max(map(len, said.replace(str(resnet), "").replace(str(out), "").splitlines())) <= 80
    content = torch.load(out, weights_only=True)
    assert content["model"]["res5.2.conv3.norm.running_var"].shape == (2048,)


def test_the_names_of_a_model(resnet, tmp_path, capsys):
    out = tmp_path / "ours.safetensors"
    command = ["weights", str(resnet), "--from", "torchvision", "-o", str(out)]
    config = ["--config", "COCO-Detection/faster_rcnn_R_50_FPN_1x.py"]
    assert main([*command, *config]) == 0
    state = read_weights(out).state
    assert "backbone.bottom_up.res5.2.conv3.norm.running_var" in state
    assert not any("linear" in key for key in state)
    assert (
        main([*command[:-1], str(tmp_path / "no.pth"), *config, "model.backbone.bottom_up.stages.depth=101"])
        == 1
    )
    assert "missing" in capsys.readouterr().out
    assert not (tmp_path / "no.pth").exists()


def test_what_is_left_is_an_error(resnet, tmp_path, capsys):
    file, out = tmp_path / "more.pth", tmp_path / "out.pth"
    torch.save(torch.load(resnet) | {"neck.weight": torch.ones(2)}, file)
    assert main(["weights", str(file), "-o", str(out)]) == 1
    said = capsys.readouterr().out
    assert "    1  left:\n       neck.weight" in said
    assert f"{out} was not written" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "torchvison"], "did you mean 'torchvision'"),
        (["--from", "swin"], "has no weights by names of swin"),
        (["--to", "detectron2", "-o", "x.safetensors"], "detectron2 reads .pth files"),
        (["--to", "torchvision", "--config", "x.py"], "leave it out"),
        (["-o", "x.bin"], "its suffix '.bin' says no format"),
        (["model.x=1"], "overrides with --config"),
    ],
)
def test_mistakes(resnet, words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", str(resnet), *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_program_is_refused(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    assert main(["weights", str(tmp_path / "evil.pth")]) == 2
    captured = capsys.readouterr()
    assert "was refused" in captured.err
    assert "run" not in captured.out
