"""Two-stage detectors and the proposal network."""

import parity_check
import pytest
from lazycfg.model_zoo import get_config_file

from lazycfg import LazyConfig, instantiate

# nothing is sampled away, so the only randomness left is the order of sums
PROPOSALS = {"batch_size_per_image": 40000, "post_nms_topk": [100, 60]}


@pytest.mark.parametrize(
    ("name", "config", "freeze_at"),
    [
        ("mask_rcnn_R_50_FPN", "common/models/mask_rcnn_fpn.py", 2),
        ("faster_rcnn_R_50_FPN", "common/models/faster_rcnn_fpn.py", 0),
        ("rpn_R_50_FPN", "common/models/rpn_fpn.py", 2),
    ],
)
def test_equal_to_the_reference(name: str, config: str, freeze_at: int) -> None:
    model = LazyConfig.load(get_config_file(config)).model
    model.backbone.bottom_up.freeze_at = freeze_at
    model.proposal_generator.update(PROPOSALS)
    if "roi_heads" in model:
        model.roi_heads.batch_size_per_image = 4096
        model.roi_heads.box_predictor.update(test_score_thresh=0.02, test_topk_per_image=30)
    parity_check.assert_parity(instantiate(model), name)
