"""A config and weights as detectron2 would have left them, and what it computes with them.

The weights are those of the golden files of tests/parity, which hold the numbers of the reference.
"""

import json
import sys
from pathlib import Path

import torch

PARITY = Path(__file__).parents[1] / "parity"
sys.path.append(str(PARITY))

import parity_inputs  # noqa: E402
from parity_fill import checksum, fill_  # noqa: E402

FILES = {
    "mask_rcnn_R_50_FPN": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml",
    "faster_rcnn_R_50_FPN": "COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml",
    "faster_rcnn_R_50_DC5": "COCO-Detection/faster_rcnn_R_50_DC5_1x.yaml",
    "mask_rcnn_R_50_C4": "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.yaml",
    "cascade_mask_rcnn_R_50_FPN": "Misc/cascade_mask_rcnn_R_50_FPN_1x.yaml",
    "keypoint_rcnn_R_50_FPN": "COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml",
    "retinanet_R_50_FPN": "COCO-Detection/retinanet_R_50_FPN_1x.yaml",
    "panoptic_fpn_R_50": "COCO-PanopticSegmentation/panoptic_fpn_R_50_1x.yaml",
    "semantic_R_50_FPN": "Misc/semantic_R_50_FPN_1x.yaml",
    "rpn_R_50_FPN": "COCO-Detection/rpn_R_50_FPN_1x.yaml",
}
"""The YAML file of the reference's zoo for each golden file."""

# What the golden files were made with
COMMON = [
    "MODEL.DEVICE", "cpu",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN", 100,
    "MODEL.RPN.POST_NMS_TOPK_TEST", 60,
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.02,
    "TEST.DETECTIONS_PER_IMAGE", 30,
    "INPUT.MIN_SIZE_TEST", 192,
]  # fmt: skip


def golden(name):
    return json.loads((PARITY / "golden" / f"{name}.json").read_text())


def image():
    """The first image of the golden files, (192, 256, 3) uint8 in BGR order: its size does not change."""
    seed, height, width, *_ = parity_inputs.IMAGES[0]
    return parity_inputs.image(seed, height, width).permute(1, 2, 0).contiguous().numpy()


def config(name):
    from detectron2 import model_zoo
    from detectron2.config import get_cfg

    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file(FILES[name]))
    cfg.merge_from_list(COMMON)
    return cfg


def write(folder, name):
    """Write ``config.yaml`` and ``model_final.pth`` into a folder; return their paths."""
    from detectron2.modeling import build_model

    cfg = config(name)
    model = build_model(cfg)
    kept = golden(name)
    fill_(model, kept["fill"]["scale"], kept["fill"]["rules"])
    assert checksum(model) == kept["fill"]["crc32"]
    folder = Path(folder)
    weights = folder / "model_final.pth"
    torch.save({"model": model.state_dict(), "iteration": 89999}, weights)
    cfg.MODEL.WEIGHTS = str(weights)
    (folder / "config.yaml").write_text(cfg.dump())
    return folder / "config.yaml", weights


def expected(name):
    """The boxes, scores and classes of the first objects in the first image, as the reference gives them."""
    found = golden(name)["eval"]["raw"][0]
    return {key: torch.tensor(found[key]["first"]) for key in ("pred_boxes", "scores", "pred_classes")} | {
        "count": found["count"]
    }


def assert_as_expected(name, boxes, scores, classes):
    """Compare detections, the best first, with the reference's: 0.01 px, 1e-4 in score."""
    want = expected(name)
    number = len(want["scores"])
    assert len(scores) == want["count"]
    torch.testing.assert_close(torch.as_tensor(scores[:number]), want["scores"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.as_tensor(boxes[:number]), want["pred_boxes"], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(torch.as_tensor(classes[:number]), want["pred_classes"])
