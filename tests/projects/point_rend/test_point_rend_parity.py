"""PointRend against numbers of the reference, the same random points included."""

from pathlib import Path
from typing import Any

import parity_check
import pytest
from random_points import in_turn

from lazycfg import LazyConfig, instantiate
from lazycfg.projects import point_rend

CONFIGS = Path(point_rend.__file__).parent / "configs"
NOTHING_SAMPLED_AWAY = [
    "model.proposal_generator.batch_size_per_image=40000",
    "model.proposal_generator.post_nms_topk=[100,60]",
    "model.roi_heads.batch_size_per_image=4096",
    "model.roi_heads.box_predictor.test_score_thresh=0.02",
    "model.roi_heads.box_predictor.test_topk_per_image=30",
]
GOLDEN = {
    "pointrend_rcnn_R_50_FPN": (
        "InstanceSegmentation/pointrend_rcnn_R_50_FPN_1x_coco.py",
        NOTHING_SAMPLED_AWAY,
    ),
    "implicit_pointrend_R_50_FPN": (
        "InstanceSegmentation/implicit_pointrend_R_50_FPN_1x_coco.py",
        NOTHING_SAMPLED_AWAY,
    ),
    "pointrend_semantic_R_101_FPN": (
        "SemanticSegmentation/pointrend_semantic_R_101_FPN_1x_cityscapes.py",
        [],
    ),
}


@pytest.fixture(autouse=True)
def _drawn_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)


@pytest.mark.parametrize(
    "name",
    [
        "pointrend_rcnn_R_50_FPN",
        pytest.param("implicit_pointrend_R_50_FPN", marks=pytest.mark.slow),  # 350 million parameters
        "pointrend_semantic_R_101_FPN",
    ],
)
def test_equal_to_the_reference(name: str) -> None:
    golden = parity_check.load_golden(name, Path(__file__).parent / "golden")
    # Whether a label is 1 to the last bit is up to the order of a sum of four.
    golden["train"]["storage"].pop("point/accuracy", None)
    parity_check.assert_golden(golden_model(name), golden)


def golden_model(name: str) -> Any:
    config, overrides = GOLDEN[name]
    cfg = LazyConfig.load(CONFIGS / config)
    LazyConfig.apply_overrides(cfg, overrides)
    return instantiate(cfg.model)
