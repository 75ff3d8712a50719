"""Panoptic-DeepLab gives the numbers of the reference implementation."""

import math
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "deeplab"))
from deeplab_parity import (
    assert_eval,
    assert_training,
    build,
    load_golden,
    make_batch,
    prepare,
    training_step,
)

CONFIG = (
    "panoptic_deeplab/configs/Cityscapes-PanopticSegmentation/"
    "panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32_crop_512_1024.py"
)
OVERRIDES = [
    "model.backbone.stem.norm=BN",
    "model.sem_seg_head.norm=BN",
    "model.sem_seg_head.aspp_dropout=0.0",
    "model.sem_seg_head.train_size=null",
    "model.ins_embed_head.norm=BN",
    "model.ins_embed_head.aspp_dropout=0.0",
    "model.stuff_area=256",
]
# Of weights of shape (1, H, W), measured with the reference: its own mapper gives these
LOSSES = {"loss_sem_seg": 3.905, "loss_center": 78.3312, "loss_offset": 0.516551}
GRADIENT = 67526


@pytest.mark.slow
def test_equal_to_the_reference(caplog) -> None:
    """The golden file was made with weights of shape (H, W), which broadcast from image to image."""
    golden = load_golden(Path(__file__).parent / "golden" / "panoptic_deeplab_R_52.json")
    model = build(CONFIG, OVERRIDES)
    prepare(model, golden)
    assert_eval(model, golden, make_batch())
    assert_training(model, golden, make_batch(panoptic=True))
    assert "should be (1, H, W)" in caplog.text

    losses, norms = training_step(model, make_batch(panoptic=True, weights_dim=3))
    for name, value in LOSSES.items():
        assert math.isclose(losses[name], value, rel_tol=1e-4), (name, losses[name])
    assert math.isclose(math.hypot(*norms.values()), GRADIENT, rel_tol=1e-3)
