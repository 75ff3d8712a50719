"""One-stage detectors."""

import parity_check

from lazycfg import instantiate
from lazycfg.model_zoo import get_config


def test_retinanet() -> None:
    model = get_config("COCO-Detection/retinanet_R_50_FPN_1x.py").model
    parity_check.assert_parity(instantiate(model), "retinanet_R_50_FPN")


def test_fcos() -> None:
    model = get_config("COCO-Detection/fcos_R_50_FPN_1x.py").model
    model.test_score_thresh = 0.05
    parity_check.assert_parity(instantiate(model), "fcos_R_50_FPN")
