"""Files of whole detectors: what they say of themselves, and that they run without this library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lazycfg.export import INFO, Bounds, ExportError, detector, export_detector
from lazycfg.export.graph import DenseGraph
from lazycfg.structures import Boxes

sys.path.insert(0, str(Path(__file__).parents[1] / "modeling"))
from tiny_families import family, make_inputs

sys.path.pop(0)

SIZE = (60, 96)  # which is padded inside
EXACT = Bounds(boxes=1e-3, scores=1e-5, masks=1e-5, heatmaps=1e-3, ties=0)

ELSEWHERE = """
import json, sys
sys.modules["lazycfg"] = None
import torch, torchvision

files = {sys.argv[2]: ""}
program = torch.export.load(sys.argv[1], extra_files=files)
info = json.loads(files[sys.argv[2]])
images = torch.load(sys.argv[3])
with torch.inference_mode():
    found = program.module()(images)
torch.save((info, found), sys.argv[4])
assert "lazycfg.modeling" not in sys.modules
"""


def examples(number=3):
    return [x["image"] for x in make_inputs(number, sizes=[SIZE])]


def calm(model, factor=0.2):
    """Scores that are not all near 0 or 1: of those NMS takes either, by the last digit."""
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "cls_score" in key or ("bbox_pred" in key and factor < 0.1):
                p.mul_(factor)
    return model


def run_elsewhere(path, tmp_path, images):
    torch.save(images, tmp_path / "images.pt")
    words = [path, INFO, tmp_path / "images.pt", tmp_path / "found.pt"]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, words)], check=True, cwd=tmp_path)
    return torch.load(tmp_path / "found.pt")


@torch.no_grad()
def check_file(name, tmp_path):
    model = calm(family(name).eval(), 0.02) if name == "keypoint" else family(name).eval()
    path = tmp_path / "model.pt2"
    report = export_detector(model, path, size=SIZE, batch=2, examples=examples(), bounds=EXACT)
    assert report.comparison.images == 4  # the third one twice
    assert report.bytes == path.stat().st_size
    images = torch.stack(examples(2)).float()
    info, found = run_elsewhere(path, tmp_path, images)
    assert info == json.loads(json.dumps(report.info))
    assert info["input"]["shape"] == [2, 3, *SIZE]
    for key, x in found.items():
        assert info["outputs"][key]["shape"] == list(x.shape)
        assert info["outputs"][key]["dtype"] == str(x.dtype).removeprefix("torch.")
    for i, output in enumerate(model([{"image": x} for x in examples(2)])):
        instances = output["instances"]
        count = int(found["count"][i])
        assert count == len(instances) > 5
        assert found["classes"][i, :count].equal(instances.pred_classes)
        torch.testing.assert_close(found["boxes"][i, :count], instances.pred_boxes.tensor)
        torch.testing.assert_close(found["scores"][i, :count], instances.scores)
        if name == "mask":
            from lazycfg.structures import ROIMasks

            pasted = ROIMasks(found["masks"][i, :count]).to_bitmasks(Boxes(found["boxes"][i, :count]), *SIZE)
            assert pasted.tensor.equal(instances.pred_masks)
        if name == "keypoint":
            torch.testing.assert_close(found["heatmaps"][i, :count], instances.pred_keypoint_heatmaps)


def test_a_file_runs_without_this_library(tmp_path):
    check_file("retinanet", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcos", "faster", "mask", "cascade", "keypoint"])
def test_a_file_of_every_family_runs_without_this_library(name, tmp_path):
    check_file(name, tmp_path)


class Shifted(DenseGraph):
    def forward(self, images):
        found = super().forward(images)
        return {**found, "boxes": found["boxes"] + 1}


def test_a_file_that_disagrees_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "graph_of", lambda model: Shifted)
    with pytest.raises(ExportError, match="the exported model disagrees with the model"):
        export_detector(family("retinanet").eval(), tmp_path / "model.pt2", size=SIZE, examples=examples(1))
    assert list(tmp_path.iterdir()) == []


def never(*_, **__):
    raise AssertionError("traced")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "model.pth"}, r"\.pt2 or \.onnx"),
        ({"size": (0, 96)}, "expected \\(height, width\\)"),
        ({"batch": 0}, "at least one image"),
        ({"candidates": 0}, "candidates=0"),
        ({"examples": []}, "examples is empty"),
        (
            {"examples": [torch.zeros(3, 64, 96)]},
            "example 0 is \\(3, 64, 96\\), expected a tensor \\(3, 60, 96\\)",
        ),
        ({"class_names": ["cat"]}, "1 class names for a model of 80 classes"),
        ({"examples": "nothing"}, "the model finds nothing in the 1 example images"),
        ({"training": True}, "call model.eval\\(\\) first"),
    ],
)
def test_what_is_wrong_is_told_before_the_model_is_traced(change, message, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.export, "export", never)
    model = family("retinanet").train(change.pop("training", False))
    if change.get("examples") == "nothing":
        model.test_score_thresh = 1.1
        change["examples"] = examples(1)
    options = {"path": "model.pt2", "size": SIZE, "examples": examples(1), **change}
    with pytest.raises(ExportError, match=message):
        export_detector(model, tmp_path / options.pop("path"), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_before_the_model_is_traced(tmp_path, monkeypatch):
    from lazycfg.export import onnx_file

    monkeypatch.setattr(torch.export, "export", never)
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else True)
    with pytest.raises(ExportError, match=r"needs onnxscript: pip install 'lazycfg\[onnx\]'"):
        export_detector(family("retinanet").eval(), tmp_path / "model.onnx", size=SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retinanet", "fcos", "faster", "mask", "cascade", "c4", "keypoint"])
def test_onnxruntime_finds_what_the_model_finds(name, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = calm(family(name).eval(), {"c4": 1e-4, "keypoint": 0.02}.get(name, 0.2))
    if name == "c4":  # whose masks take a ResNet's last stage for each region
        model.roi_heads.box_predictor.test_topk_per_image = 20
    path = tmp_path / "model.onnx"
    names = [str(i) for i in range(model.roi_heads.num_classes if name == "keypoint" else 80)]
    report = export_detector(model, path, size=SIZE, batch=2, examples=examples(), class_names=names)
    assert report.comparison.detections > 60
    written = onnx.load(path)
    properties = {x.key: x.value for x in written.metadata_props}
    assert json.loads(properties["lazycfg"])["class_names"] == names
    assert {node.domain for node in written.graph.node} <= {"", "ai.onnx"}
    assert not written.functions


@pytest.mark.slow
def test_random_examples_find_a_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(detector, "graph_of", lambda model: Shifted)
    with pytest.raises(ExportError, match="disagrees"):
        export_detector(family("retinanet").eval(), tmp_path / "model.pt2", size=SIZE)
