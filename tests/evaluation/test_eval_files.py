"""Files of detections, scored where neither the images nor a model are."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from coco_plain import random_data

from lazycfg.data import CocoDataset, ShapesDataset, VOCDataset
from lazycfg.evaluation import (
    COCOEvaluator,
    PascalVOCDetectionEvaluator,
    coco_scores,
    evaluate_json,
    read_results,
)
from lazycfg.structures import Boxes, BoxMode, Instances

TOOL = Path(__file__).parents[2] / "tools" / "evaluate_json.py"


@pytest.fixture
def files(tmp_path):
    truth, detections = random_data(3, "segm", images=5, objects=8, found=20, classes=3)
    names = tmp_path / "truth.json", tmp_path / "found.json"
    for name, content in zip(names, (truth, detections), strict=True):
        name.write_text(json.dumps(content))
    return *names, truth, detections


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True)


def test_the_tool_prints_metrics_and_writes_the_analysis(files, tmp_path):
    truth_file, found_file, truth, detections = files
    done = run(truth_file, found_file, "--task", "segm", "--per-class", "--analysis", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    ap = coco_scores(truth, detections, "segm").metrics()["AP"]
    assert f"{ap:.2f}" in done.stdout
    assert "class 2" in done.stdout
    assert "dAP_localization" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "segm_analysis.json",
        *(f"segm_{name}.png" for name in ("errors", "confusion", "curves", "sizes", "counts")),
    }
    written = json.loads((tmp_path / "out/segm_analysis.json").read_text())
    assert written["AP"] == pytest.approx(ap)
    again = run(truth_file, found_file, "--task", "segm", "--engine", "faster-coco-eval")
    assert f"{ap:.2f}" in again.stdout


def test_the_tool_says_what_is_wrong_in_a_line(files):
    truth_file, found_file, *_ = files
    done = run(truth_file, found_file, "--task", "keypoints")
    assert done.returncode == 1
    assert "detection 0" in done.stderr
    assert "has no 'keypoints'" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(truth_file, found_file, "--task", "keypoints", "--analysis", "out")
    assert done.returncode == 2
    assert "--analysis is of boxes and masks" in done.stderr


def test_areas_that_a_file_lacks_are_those_of_masks_and_boxes(files):
    truth_file, found_file, truth, _ = files
    for number, annotation in enumerate(truth["annotations"]):
        del annotation["area"]
        if number % 2:
            annotation["segmentation"] = [[0, 0, 8, 0, 8, 4, 0, 4]]
    truth["annotations"].append({**truth["annotations"][0], "id": 999, "area": 5.5})
    truth_file.write_text(json.dumps(truth))
    read, _ = read_results(truth_file, found_file, "bbox")
    assert read["annotations"][1]["area"] == 32
    assert read["annotations"][-1]["area"] == 5.5
    del truth["annotations"][0]["segmentation"]
    truth_file.write_text(json.dumps(truth))
    w, h = truth["annotations"][0]["bbox"][2:]
    assert read_results(truth_file, found_file, "bbox")[0]["annotations"][0]["area"] == w * h
    evaluate_json(truth_file, found_file, "bbox")


def detections_of(dataset):
    """Return what a perfect model finds, as inputs and outputs of an evaluator."""
    for index in range(len(dataset)):
        record = dataset[index]
        things = [thing for thing in record["annotations"] if not thing.get("difficult")]
        boxes = [BoxMode.convert(thing["bbox"], thing["bbox_mode"], BoxMode.XYXY_ABS) for thing in things]
        found = Instances(
            (record["height"], record["width"]),
            pred_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
            scores=torch.full((len(things),), 0.9),
            pred_classes=torch.tensor([thing["category_id"] for thing in things], dtype=torch.int64),
        )
        yield [record], [{"instances": found}]


def test_an_evaluator_needs_no_images(tmp_path):
    json_file, images = ShapesDataset(num_images=6, image_size=64, seed=0).export_coco(tmp_path / "shapes")
    shutil.rmtree(images)
    dataset = CocoDataset(json_file=json_file, verify_images=False)
    evaluator = COCOEvaluator(dataset=dataset, output_dir=tmp_path / "out", tasks=("bbox",))
    for inputs, outputs in detections_of(dataset):
        evaluator.process(inputs, outputs)
    assert evaluator.evaluate()["bbox"]["AP"] == pytest.approx(100)
    scores = evaluate_json(json_file, tmp_path / "out/coco_instances_results.json")
    assert scores.metrics()["AP"] == pytest.approx(100)


@pytest.mark.parametrize(("year", "metric"), [(2007, "11-point"), (2012, "area")])
def test_voc_from_its_own_files(tmp_path, year, metric):
    root = tmp_path / f"VOC{year}"
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/test.txt").write_text("000001\n000002\n")
    for number, difficult in ((1, 0), (2, 1)):
        (root / f"Annotations/{number:06}.xml").write_text(
            f"<annotation><filename>{number:06}.jpg</filename>"
            "<size><width>80</width><height>60</height><depth>3</depth></size>"
            f"<object><name>dog</name><difficult>{difficult}</difficult>"
            "<bndbox><xmin>1</xmin><ymin>5</ymin><xmax>30</xmax><ymax>60</ymax></bndbox></object>"
            "<object><name>cat</name><difficult>0</difficult>"
            "<bndbox><xmin>40</xmin><ymin>5</ymin><xmax>80</xmax><ymax>50</ymax></bndbox></object>"
            "</annotation>"
        )
    dataset = VOCDataset(root=root, split="test", verify_images=False)
    evaluator = PascalVOCDetectionEvaluator(dataset=dataset, output_dir=tmp_path / "out")
    assert evaluator.metric == metric
    for inputs, outputs in detections_of(dataset):
        evaluator.process(inputs, outputs)
    assert evaluator.evaluate()["bbox"] == {"AP": 100, "AP50": 100, "AP75": 100}
    # The box is that of the XML file again
    assert (tmp_path / "out/comp4_det_test_dog.txt").read_text() == "000001 0.900 1.0 5.0 30.0 60.0\n"
