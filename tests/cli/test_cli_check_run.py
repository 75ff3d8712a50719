"""`lazycfg check` of a whole run: every setting, names, schedule, optimizer, and if asked the data."""

import warnings
from pathlib import Path

import pytest

from lazycfg.cli.main import main
from lazycfg.data import ShapesDataset

SHAPES = "quickstart/mask_rcnn_shapes.py"
FEW = ["dataloader.train.dataset.num_images=4", "dataloader.test.dataset.num_images=2"]


@pytest.fixture
def run(capsys):
    def call(*words):
        status = main(["check", *words, "--input-size", "64"])
        return status, capsys.readouterr().out

    return call


def test_a_sound_run(run):
    status, text = run(SHAPES)
    assert status == 0
    assert text.endswith("no problems found\n")
    assert "not looked at: the data" in text
    assert "--data" in text
    status, text = run(SHAPES, *FEW, "--data")
    assert status == 0
    assert "--data" not in text


def test_why_the_data_was_not_looked_at(run):
    status, text = run(SHAPES, *FEW, "--data", "++dataloader.train.total_batch_sise=2")
    assert status == 1
    assert "whether model and evaluation fit it: because of the problems above\n" in text
    status, text = run(SHAPES, *FEW, "--data", "--no-build")
    assert status == 0
    assert "whether model and evaluation fit it: because of --no-build\n" in text


def test_initial_weights_are_looked_for(run, monkeypatch, tmp_path):
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(tmp_path))
    status, text = run(SHAPES, "train.init_checkpoint=detectron2://a/R-50.pkl")
    assert status == 0
    assert f"not looked at: the weights detectron2://a/R-50.pkl: a run downloads them to {tmp_path}" in text
    kept = next(Path(word) for word in text.split() if word.startswith(str(tmp_path)))
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    assert "the weights" not in run(SHAPES, "train.init_checkpoint=detectron2://a/R-50.pkl")[1]
    status, text = run(SHAPES, "train.init_checkpoint=none.pth")
    assert status == 1
    assert "train.init_checkpoint: there is no file none.pth" in text


@pytest.mark.parametrize(
    ("config", "override", "size"),
    [
        ("COCO-Detection/retinanet_R_50_FPN_1x", "train.max_iter=1", "800x1333"),
        ("quickstart/boxes_nano", "image.size=240 data.train_json=FILE data.test_json=FILE", "240x400"),
        (SHAPES, "train.max_iter=1", "800x1333"),
    ],
)
def test_shapes_are_those_of_images_of_the_test_data(config, override, size, tmp_path, capsys):
    shapes = ShapesDataset(num_images=2, image_size=64, classes=("circle", "bar"), num_objects=(1, 2))
    file, _ = shapes.export_coco(tmp_path)
    main(["check", config, *override.replace("FILE", str(file)).split()])
    text = capsys.readouterr().out
    assert f"output for one {size} image" in text
    assert ("which sizes dataloader.test gives depends on its data" in text) == (config == SHAPES)


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("++train.amp=true", "train.amp.enabled=true"),
        ("++train.output_dir=2024", "./2024"),
        ("++train.max_iter=9.5", "train.max_iter=9.5"),
        ("++train.max_iter=true", "train.max_iter"),
        ("train.hooks=[1]", "train.hooks.0"),
        ("train.device=gpu", "train.device=cuda"),
        ("train.amp.dtype=float8", "bfloat16"),
        ("dataloader.train.total_batch_size=0", "dataloader.train.total_batch_size"),
        ("optimizer=null", "optimizer"),
        ("++lr_multiplier=0.1", "lr_multiplier"),
        ("+lr_multipler=1", "'lr_multiplier'"),
        ("+dataloader.evalutor=1", "'evaluator'"),
        ("optimizer.params.overrides={no_such: {lr: 1.0}}", "matches no parameter"),
    ],
)
def test_what_needs_no_data(run, override, word):
    status, text = run(SHAPES, override)
    assert status == 1
    assert word in text
    assert text.splitlines()[-1] == "1 problem"
    assert "no problems" not in text


def test_all_at_once(run):
    status, text = run(SHAPES, "++train.amp=true", "++train.max_iter=9.5", "++lr_multiplier=0.1")
    assert status == 1
    assert text.splitlines()[-1] == "3 problems"


def test_with_the_data(run):
    status, text = run(SHAPES, *FEW, "model.roi_heads.num_classes=80", "--data")
    assert status == 1
    assert "remedy: model.roi_heads.num_classes=4" in text
    status, text = run(SHAPES, *FEW, "dataloader.test.mapper.image_format=RGB", "--data")
    assert status == 1
    assert "dataloader.test.mapper.image_format=BGR" in text


def test_a_call_that_stands_more_than_once_in_a_list(run, tmp_path):
    (tmp_path / "c.py").write_text(
        f"from lazycfg.model_zoo.{SHAPES.removesuffix('.py').replace('/', '.')} import *\n"
        "from torch import nn\nfrom lazycfg import LazyCall as L\n"
        "class Several(nn.Module):\n"
        "    def __init__(self, model, heads):\n        super().__init__()\n        self.model = model\n"
        "        self.heads = nn.ModuleList(heads)\n"
        "    def forward(self, batch):\n        return self.model(batch)\n"
        "model = L(Several)(model=model, heads=[L(nn.Linear)(2, 3)] * 3)\n"
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        _, text = run(str(tmp_path / "c.py"))
    assert "note: model.heads holds the same call 3 times" in text
    # The model takes a list of dicts, and is tried on a tensor
    assert not [each for each in warned if "non-tuple sequence" in str(each.message)]


def test_a_value_to_be_filled_in_is_named_once(run):
    status, text = run("quickstart/mask_rcnn_coco_json.py", "data.train_json=train.json")
    assert status == 1
    assert "data.test_json: it is to be filled in" in text
    assert text.splitlines()[-1] == "1 problem"


@pytest.mark.parametrize("text", ["[1, 2]", "{}"])
def test_a_file_without_a_config_is_told(capsys, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert main(["check", str(tmp_path / "a.json")]) != 0
    assert "holds no config" in capsys.readouterr().err
