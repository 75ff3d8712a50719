"""`lazycfg export`: a run as one file, compared on images or on noise."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg import LazyConfig, instantiate, model_zoo
from lazycfg.checkpoint import save_weights
from lazycfg.cli.main import main
from lazycfg.data import Metadata
from lazycfg.engine.run_metadata import weights_metadata

NAMES = ("circle", "triangle", "square", "star")
SIZE = ["--size", "64x96"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, of a model that is not trained and has no threshold."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    torch.manual_seed(0)
    cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes")
    cfg.model.roi_heads.box_predictor.test_score_thresh = 0.0
    cfg.train.output_dir = str(folder)
    LazyConfig.save(cfg, folder / "config.yaml")
    metadata = Metadata(name="shapes", thing_classes=NAMES)
    model = instantiate(cfg.model)
    save_weights(model, folder / "model_final.safetensors", metadata=weights_metadata(metadata))
    return folder


@pytest.fixture
def command(run, tmp_path, monkeypatch, capsys):
    """Call the command on the run; its status, and what it prints."""
    monkeypatch.chdir(tmp_path)

    def call(*words, model=run):
        status = main(["export", str(model), *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return call


def write_image(name, size=(70, 50)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(name)


@pytest.mark.slow
def test_a_run_becomes_one_file(command, tmp_path):
    write_image("a.png")
    status, text = command("-o", "model.pt2", *SIZE, "a.png")
    assert status == 0, text
    compared, wrote = text.splitlines()
    assert compared.startswith("compared: 100 detections in 1 images; largest differences: boxes ")
    megabytes = (tmp_path / "model.pt2").stat().st_size / 1e6
    assert wrote == f"wrote model.pt2: {megabytes:.1f} MB"
    files = {"lazycfg.json": ""}
    torch.export.load("model.pt2", extra_files=files)
    info = json.loads(files["lazycfg.json"])
    assert info["class_names"] == list(NAMES)
    assert info["input"]["shape"] == [1, 3, 64, 96]
    assert info["outputs"]["masks"]["shape"] == [1, 100, 28, 28]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "model.pth", *SIZE], r"model.pth: the suffix says what is written: .pt2 or .onnx"),
        (["-o", "model.pt2", "--size", "64by96"], "--size '64by96' is not of the form 800x1216"),
        (["-o", "there.pt2", *SIZE], "there.pt2 is there already: choose another with -o FILE"),
        (["-o", "model.pt2", *SIZE, "--batch-size", "0"], "at least one image"),
        (["-o", "model.pt2", *SIZE, "clip.mp4"], "clip.mp4 is a video: give images to compare on"),
        (["-o", "model.pt2", *SIZE, "missing.png"], "missing.png"),
        (
            ["-o", "model.pt2", *SIZE, "model.roi_heads.box_predictor.test_score_thresh=0.9"],
            "the model finds nothing in the 2 example images",
        ),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(words, message, command, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("traced")

    monkeypatch.setattr(torch.export, "export", never)
    (tmp_path / "there.pt2").write_text("mine")
    status, text = command(*words)
    assert status == 2
    assert message in text
    assert "Traceback" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["there.pt2"]
    assert (tmp_path / "there.pt2").read_text() == "mine"
