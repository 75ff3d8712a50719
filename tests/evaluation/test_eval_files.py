"""Files of detections, scored where neither the images nor a model are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from coco_plain import random_data

from lazycfg.evaluation import coco_scores, evaluate_json, read_results

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
