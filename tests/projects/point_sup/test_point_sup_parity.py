"""PointSup against numbers of the reference."""

from pathlib import Path

import parity_check

from lazycfg import LazyConfig, instantiate
from lazycfg.projects import point_sup

NAME = "mask_rcnn_R_50_FPN_point_sup"
CONFIG = Path(point_sup.__file__).parent / "configs" / "mask_rcnn_R_50_FPN_3x_point_sup_coco.py"
NOTHING_SAMPLED_AWAY = [
    "model.proposal_generator.batch_size_per_image=40000",
    "model.proposal_generator.post_nms_topk=[100,60]",
    "model.roi_heads.batch_size_per_image=4096",
    "model.roi_heads.box_predictor.test_score_thresh=0.02",
    "model.roi_heads.box_predictor.test_topk_per_image=30",
]


def test_equal_to_the_reference() -> None:
    cfg = LazyConfig.load(CONFIG)
    LazyConfig.apply_overrides(cfg, NOTHING_SAMPLED_AWAY)
    golden = parity_check.load_golden(NAME, Path(__file__).parent / "golden")
    parity_check.assert_golden(instantiate(cfg.model), golden)
