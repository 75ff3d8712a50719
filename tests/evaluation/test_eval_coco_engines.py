"""The packages that compute COCO's metrics, against plain loops and each other."""

import subprocess
import sys

import numpy as np
import pytest
from coco_plain import plain_scores, random_data
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg.evaluation import coco_scores, lvis_scores
from lazycfg.evaluation.coco_engines import ENGINES

SIGMAS = (0.05, 0.1, 0.2)
KINDS = ("bbox", "segm", "keypoints")
LIMITS = ((1, 10, 100), (2,), (3, 1), (1, 5))


def equal(scores, expected, rounding):
    precision, score, recall = expected
    assert np.array_equal(scores.recall, recall, equal_nan=True)
    assert np.array_equal(scores.score, score, equal_nan=True)
    if rounding:
        np.testing.assert_allclose(scores.precision, precision, rtol=0, atol=rounding)
    else:
        assert np.array_equal(scores.precision, precision, equal_nan=True)


def scores_of(engine, kind, data, limits):
    sigmas = SIGMAS if kind == "keypoints" else ()
    return coco_scores(*data, kind, max_dets=limits, kpt_oks_sigmas=sigmas, engine=engine)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limits=st.sampled_from(LIMITS))
def test_hotcoco_equals_plain_loops_bit_for_bit(kind, seed, limits):
    data = random_data(seed, kind)
    if kind == "keypoints" and not data[0]["annotations"]:
        return
    equal(scores_of("hotcoco", kind, data, limits), plain_scores(*data, kind, limits, SIGMAS), 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_the_engines_agree(kind, seed):
    data = random_data(seed, kind, images=6, objects=12, found=30, classes=3)
    first, other = (scores_of(engine, kind, data, (1, 5, 20)) for engine in ENGINES)
    equal(other, (first.precision, first.score, first.recall), 1e-15)
    assert np.array_equal(first.num_objects, other.num_objects)
    assert first.areas == other.areas
    assert first.max_dets == other.max_dets
    assert np.array_equal(first.iou_thresholds, other.iou_thresholds)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_compare(engine, kind):
    truth, detections = random_data(1, kind)
    empty = {**truth, "annotations": []}
    for data in ((truth, []), (empty, detections), (empty, []), ({**empty, "images": []}, [])):
        equal(scores_of(engine, kind, data, (1, 10)), plain_scores(*data, kind, (1, 10), SIGMAS), 1e-15)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_some_of_the_images(engine, kind):
    truth, detections = random_data(2, kind, images=6)
    wanted = {image["id"] for image in truth["images"][::2]}
    part = {**truth, "images": [image for image in truth["images"] if image["id"] in wanted]}
    part["annotations"] = [a for a in truth["annotations"] if a["image_id"] in wanted]
    expected = plain_scores(part, [d for d in detections if d["image_id"] in wanted], kind, (1, 10), SIGMAS)
    sigmas = SIGMAS if kind == "keypoints" else ()
    scores = coco_scores(
        truth, detections, kind, max_dets=(1, 10), kpt_oks_sigmas=sigmas, img_ids=list(wanted), engine=engine
    )
    equal(scores, expected, 1e-15)
    assert scores.num_objects[:, 0].sum() == sum(
        not a["iscrowd"] and (kind != "keypoints" or any(a["keypoints"][2::3])) for a in part["annotations"]
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_given_is_not_changed(engine):
    for kind in KINDS:
        given_, again = random_data(3, kind), random_data(3, kind)
        scores_of(engine, kind, given_, (1, 10))
        assert given_ == again


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_are_taken_in_every_notation(engine):
    square = [[4.0, 4.0, 20.0, 4.0, 20.0, 20.0, 4.0, 20.0]]
    runs = [48 * 4 + 4, *([16, 32] * 16)[:-1]]
    runs.append(48 * 64 - sum(runs))
    frame = {"images": [{"id": 1, "height": 48, "width": 64}], "categories": [{"id": 1, "name": "x"}]}
    found = {"image_id": 1, "category_id": 1, "score": 0.5}
    object_ = {"id": 1, "image_id": 1, "category_id": 1, "area": 256.0, "iscrowd": 0, "bbox": [4, 4, 16, 16]}
    for true in (square, {"size": [48, 64], "counts": runs}):
        truth = {**frame, "annotations": [{**object_, "segmentation": true}]}
        for counts in (runs, tuple(runs), np.array(runs)):
            detection = {**found, "segmentation": {"size": [48, 64], "counts": counts}}
            scores = coco_scores(truth, [detection], "segm", engine=engine)
            assert scores.metrics()["AP"] == pytest.approx(100)


def test_rotated_boxes_are_compared_by_the_engine_that_can():
    truth, detections = random_data(4, "bbox")
    turned = [{**d, "bbox": [*d["bbox"], 30.0]} for d in detections]
    assert coco_scores(truth, turned, "bbox").metrics() == (
        coco_scores(truth, turned, "bbox", engine="faster-coco-eval").metrics()
    )
    with pytest.raises(ValueError, match="engine='hotcoco' does not compare rotated boxes"):
        coco_scores(truth, turned, "bbox", engine="hotcoco")


def test_an_engine_that_is_not_known_or_not_there(monkeypatch):
    data = random_data(4, "bbox")
    with pytest.raises(ValueError, match="engine='pycocotools': expected one of"):
        coco_scores(*data, "bbox", engine="pycocotools")
    expected = coco_scores(*data, "bbox", engine="faster-coco-eval").metrics()
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    assert coco_scores(*data, "bbox").metrics() == expected
    with pytest.raises(ImportError, match=r"need hotcoco: pip install 'lazycfg\[eval\]'"):
        coco_scores(*data, "bbox", engine="hotcoco")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(ImportError, match=r"need hotcoco or faster-coco-eval: pip install 'lazycfg\[eval\]'"):
        coco_scores(*data, "bbox")


def test_importing_the_evaluators_imports_no_engine():
    code = "import sys, lazycfg.evaluation; print({'hotcoco', 'faster_coco_eval'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_scores_that_are_no_numbers_and_two_categories_of_one_id_are_refused():
    truth, detections = random_data(5, "bbox")
    bad = {**detections[1], "score": float("nan")}
    with pytest.raises(ValueError, match=r"detection 1 on image \d+ has the score nan"):
        coco_scores(truth, [detections[0], bad], "bbox")
    twice = {**truth, "categories": [*truth["categories"], truth["categories"][0]]}
    with pytest.raises(ValueError, match="two categories have the id 3"):
        coco_scores(twice, detections, "bbox")
    without = {**truth, "annotations": [{k: v for k, v in truth["annotations"][0].items() if k != "area"}]}
    with pytest.raises(ValueError, match="has no 'area'"):
        coco_scores(without, detections, "bbox")


def test_masks_of_another_size_than_their_image_are_refused():
    truth, detections = random_data(5, "segm")
    detections[1]["segmentation"] = {"size": [64, 48], "counts": [0, 64 * 48]}
    message = r"detection 1 has a mask of 64 x 48 pixels, and its image \d+ has 48 x 64"
    for compare in (coco_scores, lvis_scores):
        with pytest.raises(ValueError, match=message):
            compare({**truth, "annotations": truth["annotations"]}, detections, "segm")
    unknown = {**truth, "images": [{"id": image["id"]} for image in truth["images"]]}
    expected = coco_scores(truth, detections[:1], "segm").metrics()
    for engine in ENGINES:
        got = coco_scores(unknown, detections[:1], "segm", engine=engine).metrics()
        assert got == pytest.approx(expected, nan_ok=True)
    unknown["annotations"][0]["segmentation"] = [[0, 0, 5, 0, 5, 5]]
    with pytest.raises(ValueError, match=r"image \d+ has no height and width, which its polygons need"):
        coco_scores(unknown, detections[:1], "segm")


def test_lvis_is_the_same_without_hotcoco(monkeypatch):
    for kind in ("bbox", "segm"):
        truth, detections = random_data(6, kind, images=6, objects=10, found=20)
        for annotation in truth["annotations"]:
            annotation["iscrowd"] = 0
        for image in truth["images"]:
            image.update(neg_category_ids=[3], not_exhaustive_category_ids=[6])
        expected = lvis_scores(truth, detections, kind).metrics()
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "hotcoco", None)
            assert lvis_scores(truth, detections, kind).metrics() == pytest.approx(expected, nan_ok=True)
