"""`lazycfg check`: shapes beyond the backbone, and the config path behind parts that do not fit."""

import pytest

from lazycfg.cli.common import zoo_folder
from lazycfg.cli.main import main

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"


@pytest.fixture
def run(capsys):
    def call(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_the_shapes_of_a_whole_mask_rcnn(run):
    status, text, _ = run("check", ZOO, "--input-size", "256x320")
    assert status == 0
    assert "GeneralizedRCNN: 44,343,216 parameters, 44,120,816 of them trained" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "p2 1x256x64x80, p3 1x256x32x40" in rows["backbone"]
    assert "res2 1x256x64x80" in rows["bottom_up"]
    assert "[0].proposal_boxes 1000x4" in rows["proposal_generator"]
    assert "1000x1024" in rows["box_head"]
    assert "[0] 1000x81, [1] 1000x320" in rows["box_predictor"]
    assert "pred_boxes 100x4, pred_classes 100" in rows["mask_head*"]
    assert "pred_masks 100x1x28x28" in text
    assert "run on as many boxes as the model may detect" in text
    assert "depends on values" in text
    assert "did not run" not in text


@pytest.mark.parametrize(
    ("config", "part", "shape"),
    [
        ("COCO-Detection/retinanet_R_50_FPN_1x.py", "head", "[0][0] 1x720x32x32"),
        ("COCO-Detection/fcos_R_50_FPN_1x.py", "head", "[0][0] 1x80x32x32"),
        ("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py", "keypoint_head*", "100x17x28x28, ... (last layer)"),
        ("Misc/mask_rcnn_R_50_FPN_1x_dconv_c3-c5.py", "bottom_up", "res2 1x256x64x64"),
        ("COCO-Detection/fast_rcnn_R_50_FPN_1x.py", "box_predictor", "[0] 1000x81, [1] 1000x320"),
    ],
)
def test_other_families(run, config, part, shape):
    status, text, _ = run("check", config, "--input-size", "256")
    assert status == 0
    assert any(line.split()[:1] == [part] and shape in line for line in text.splitlines())


@pytest.mark.parametrize(
    ("override", "path", "line_of"),
    [
        ("model.roi_heads.box_head.input_shape.channels=128", "model.roi_heads.box_head", "box_head=L("),
        ("model.proposal_generator.head.in_channels=128", "model.proposal_generator.head", "head=L(Stand"),
        ("model.roi_heads.mask_head.input_shape.channels=64", "model.roi_heads.mask_head", "mask_head=L("),
        ("model.backbone.in_features=[res2,res3]", "model.backbone", "backbone=L("),
    ],
)
def test_parts_that_do_not_fit(run, override, path, line_of):
    status, text, _ = run("check", ZOO, override, "--input-size", "128")
    assert status == 1
    assert "the parts do not fit: " in text
    assert f"config path '{path}'" in text
    place = text.partition("mask_rcnn_fpn.py:")[2].partition(":")[0]
    source = (zoo_folder() / "common/models/mask_rcnn_fpn.py").read_text().splitlines()
    assert line_of in source[int(place) - 1]
    assert f"set by override 1 '{override}'" in text


def test_a_model_that_cannot_be_built(run):
    status, text, _ = run("check", ZOO, "model.backbone.in_features=[res2,res9]")
    assert status == 1
    assert "the model cannot be built: ValueError" in text
    assert "while building config path 'model.backbone'" in text


def test_heads_that_cannot_run_without_values_are_named(run):
    status, text, _ = run("check", "COCO-Detection/rotated_faster_rcnn_R_50_FPN_1x.py", "--input-size", "128")
    assert status == 0
    assert "did not run: roi_heads, roi_heads.box_head, roi_heads.box_predictor" in text
    assert "depends on values" in text


def test_where_values_are_needed_is_a_place_of_the_model(run):
    status, text, _ = run("check", "COCO-Detection/faster_rcnn_R_50_FPN_1x", "--input-size", "128")
    assert status == 0
    place = text.partition("shapes are known up to ")[2].partition(",")[0]
    assert place.startswith("lazycfg.modeling."), text


def test_a_model_of_another_library(run, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\nfrom lazycfg import LazyCall as L\n"
        "model = L(nn.Sequential)(_args_=())\n"
        "class Words(nn.Module):\n    def __init__(self, size):\n        super().__init__()\n"
        "        self.layer = nn.Embedding(size, 3)\n"
        "    def forward(self, words, lengths): return self.layer(words)\n"
        "model = L(Words)(size=5)\n"
    )
    status, text, _ = run("check", str(tmp_path / "net.py"))
    assert status == 0
    assert "Words: 15 parameters" in text
    assert "it takes something else than an image" in text


@pytest.mark.parametrize(
    ("layers", "words", "status", "message"),
    [
        ("L(nn.Conv2d)(3, 4, 3), L(nn.BatchNorm2d)(8)", [], 1, "the parts do not fit: "),
        ("L(nn.Conv2d)(3, 4, 3), L(nn.BatchNorm2d)(4)", [], 0, "GFLOP in all"),
        ("L(nn.Conv2d)(3, 4, 3), L(nn.Linear)(222, 5)", [], 0, "images of another size (--input-size) than"),
        ("L(nn.Conv2d)(3, 4, 3), L(nn.Linear)(222, 5)", ["--input-size=224"], 0, "1x4x222x5"),
        ("L(nn.Conv2d)(3, 4, 3), L(nn.Linear)(222, 5)", ["--input-size=225"], 1, "the parts do not fit: "),
        ("L(nn.Conv2d)(1, 4, 3), L(nn.BatchNorm2d)(8)", [], 0, "it takes something else than an image"),
    ],
)
def test_layers_of_another_library_that_do_not_fit(run, tmp_path, layers, words, status, message):
    (tmp_path / "net.py").write_text(
        f"import torch.nn as nn\nfrom lazycfg import LazyCall as L\nmodel = L(nn.Sequential)({layers})\n"
    )
    found, text, _ = run("check", str(tmp_path / "net.py"), *words)
    assert found == status
    assert message in text
    if "fit" in message or "image" in message:
        layer = 0 if "something else" in message else 1
        assert f"config path 'model._args_.{layer}'" in text
        assert f"{tmp_path / 'net.py'}:3:" in text


@pytest.mark.parametrize("size", ["800y3", "0x5", "-3", "x"])
def test_a_size_that_is_none(run, size):
    status, _, errors = run("check", ZOO, f"--input-size={size}")
    assert status == 2
    assert "is not of the form 800x1333" in errors
