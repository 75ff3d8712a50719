"""DeepLab v3 and v3+ give the numbers of the reference implementation."""

from pathlib import Path

import pytest
from deeplab_parity import (
    assert_eval,
    assert_training,
    build,
    load_golden,
    make_batch,
    prepare,
)

FOLDER = "deeplab/configs/Cityscapes-SemanticSegmentation"
CONFIGS = {
    "deeplab_v3_R_103": f"{FOLDER}/deeplab_v3_R_103_os16_mg124_poly_90k_bs16.py",
    "deeplab_v3_plus_R_103": f"{FOLDER}/deeplab_v3_plus_R_103_os16_mg124_poly_90k_bs16.py",
}
OVERRIDES = [
    "model.backbone.stem.norm=BN",
    "model.sem_seg_head.norm=BN",
    "model.sem_seg_head.aspp_dropout=0.0",
    "model.sem_seg_head.train_size=null",
]


@pytest.mark.parametrize(
    "name", ["deeplab_v3_plus_R_103", pytest.param("deeplab_v3_R_103", marks=pytest.mark.slow)]
)
def test_equal_to_the_reference(name: str) -> None:
    golden = load_golden(Path(__file__).parent / "golden" / f"{name}.json")
    model = build(CONFIGS[name], OVERRIDES)
    prepare(model, golden)
    assert_eval(model, golden, make_batch())
    assert_training(model, golden, make_batch())
