"""Published packages that were written for detectron2 run unchanged and predict what the reference does.

They are run where they are installed: `pip install layoutparser`, `detectree2`, `deepdoctection`.
"""

import json

import numpy as np
import old_files
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def written(tmp_path):
    return old_files.write(tmp_path, "mask_rcnn_R_50_FPN")


def test_layoutparser(written):
    layoutparser = pytest.importorskip("layoutparser")
    config, weights = written
    model = layoutparser.Detectron2LayoutModel(
        str(config), str(weights), label_map={36: "Figure"}, extra_config=["TEST.DETECTIONS_PER_IMAGE", 30]
    )
    layout = model.detect(old_files.image())
    classes = [36 if block.type == "Figure" else block.type for block in layout]
    boxes = np.array([block.coordinates for block in layout], dtype=np.float32)
    scores = np.array([block.score for block in layout], dtype=np.float32)
    old_files.assert_as_expected("mask_rcnn_R_50_FPN", boxes, scores, classes)


def test_deepdoctection(written):
    d2detect = pytest.importorskip("deepdoctection.extern.d2detect")
    types = pytest.importorskip("dd_core.utils.object_types")
    config, weights = written
    labels = list(types.LayoutLabel)
    detector = d2detect.D2FrcnnDetector(
        config,
        weights,
        {i + 1: labels[i % len(labels)] for i in range(80)},
        config_overwrite=["NMS_THRESH_CLASS_AGNOSTIC=0.99"],
        device="cpu",
    )
    found = sorted(detector.predict(old_files.image()), key=lambda result: -result.score)
    want = old_files.expected("mask_rcnn_R_50_FPN")
    boxes = np.array([result.box for result in found[:5]])
    np.testing.assert_allclose(boxes, want["pred_boxes"][:5], atol=1e-2)
    np.testing.assert_allclose([result.score for result in found[:5]], want["scores"][:5], atol=1e-4)
    assert [result.class_id - 1 for result in found[:5]] == want["pred_classes"][:5].tolist()


def test_detectree2(written, tmp_path):
    predict = pytest.importorskip("detectree2.models.predict")
    cv2 = pytest.importorskip("cv2")
    from detectron2.engine import DefaultPredictor

    _, weights = written
    train = pytest.importorskip("detectree2.models.train")
    cfg = train.setup_cfg(
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml",
        update_model=str(weights),
        out_dir=str(tmp_path),
    )
    assert cfg.INPUT.MIN_SIZE_TRAIN == 1000
    assert cfg.IMGMODE == "rgb"
    cfg.merge_from_list([*old_files.COMMON, "MODEL.ROI_HEADS.NUM_CLASSES", 80])
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    cv2.imwrite(str(tiles / "tile_0.png"), old_files.image())
    predict.predict_on_data(tiles, tmp_path / "found", DefaultPredictor(cfg))
    found = json.loads((tmp_path / "found" / "Prediction_tile_0.json").read_text())
    boxes = np.array([entry["bbox"] for entry in found], dtype=np.float32)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([entry["score"] for entry in found], dtype=np.float32)
    classes = [entry["category_id"] for entry in found]
    old_files.assert_as_expected("mask_rcnn_R_50_FPN", boxes, scores, classes)
    assert all(isinstance(entry["segmentation"]["counts"], str) for entry in found)
