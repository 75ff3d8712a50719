"""The configs of chart models: whole, sound, and equal to the reference's of the same names."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from zoo_values import assert_builds

from lazycfg import LazyConfig, check, instantiate
from lazycfg.projects import densepose
from lazycfg.solver import ClipGradNormPerParameter, ClipGradValue

CONFIGS = Path(densepose.__file__).parent / "configs"
REFERENCE = json.loads((Path(__file__).parent / "reference_values_chart.json").read_text())
CHART = sorted(
    str(path.relative_to(CONFIGS))
    for pattern in ("densepose_rcnn_*.py", "HRNet/*.py", "evolution/*.py")
    for path in CONFIGS.glob(pattern)
)
# One of each kind; all of them take half a minute
SOME = [
    "densepose_rcnn_R_50_FPN_s1x.py",
    "densepose_rcnn_R_101_FPN_s1x_legacy.py",
    "densepose_rcnn_R_50_FPN_WC1M_s1x.py",
    "densepose_rcnn_R_101_FPN_DL_WC2M_s1x.py",
    "HRNet/densepose_rcnn_HRFPN_HRNet_w48_s1x.py",
    "evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uv.py",
]


def others_slow(names: list[str]) -> list[Any]:
    return [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in names]


def test_all_of_the_reference_are_there() -> None:
    others = {
        "densepose_rcnn_R_101_FPN_WC1_s1x.py",
        "densepose_rcnn_R_101_FPN_DL_WC1_s1x.py",
        "HRNet/densepose_rcnn_HRFPN_HRNet_w40_s1x.py",
    }
    assert set(CHART) == set(REFERENCE) | others
    assert len(CHART) == 22 + 3 + 5


@pytest.mark.parametrize("name", others_slow(CHART))
def test_config_is_sound(name: str) -> None:
    cfg = LazyConfig.load(CONFIGS / name)
    assert set(cfg) == {"model", "optimizer", "lr_multiplier", "dataloader", "train"}
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    assert all(parameter.is_meta for parameter in model.parameters())
    formats = {loader.mapper.image_format for loader in (cfg.dataloader.train, cfg.dataloader.test)}
    assert formats == {cfg.model.input_format}


@pytest.mark.parametrize("name", others_slow(list(REFERENCE)))
def test_config_builds_what_the_reference_builds(name: str) -> None:
    assert_builds(LazyConfig.load(CONFIGS / name), REFERENCE[name])


@pytest.mark.parametrize("name", CHART)
def test_gradients_are_clipped_as_in_the_reference(name: str) -> None:
    clip = instantiate(LazyConfig.load(CONFIGS / name).train.clip_grad)
    if name == "densepose_rcnn_R_50_FPN_WC1M_s1x.py" or name.startswith("HRNet"):
        assert isinstance(clip, ClipGradNormPerParameter)
        assert clip.max_norm == (1.0 if name.startswith("HRNet") else 100.0)
    elif "_WC" in name:
        assert isinstance(clip, ClipGradValue)
        assert clip.clip_value == 1.0
    else:
        assert clip is None


@pytest.mark.parametrize("name", CHART)
def test_settings_of_the_branch(name: str) -> None:
    """What neither keys nor the optimizer tell."""
    heads = LazyConfig.load(CONFIGS / name).model.roi_heads
    legacy, evolution = "legacy" in name, name.startswith("evolution")
    losses, confidences = heads.densepose_losses, heads.densepose_predictor.confidence_model_cfg
    weights = (losses.w_points, losses.w_part, losses.w_segm, losses.n_segm_chan, losses.heatmap_size)
    points = 0.0005 if "_WC" in name else 0.01
    segm = 1.0 if name.endswith("Atop10P_CA.py") else 5.0
    assert weights == ((0.1, 0.3, 2.0, 15, 56) if legacy else (points, 1.0, segm, 2, 112))
    assert losses.confidence_model_cfg is confidences
    assert confidences.uv_confidence.enabled == ("_WC" in name)
    assert confidences.uv_confidence.type == ("indep_aniso" if "_WC2" in name else "iid_iso")
    assert confidences.segm_confidence.enabled == ("1M" in name or "2M" in name)
    assert losses.segm_trained_by_masks == heads.densepose_data_filter.keep_masks == evolution
    pooler = heads.densepose_pooler
    assert (pooler.pooler_type, pooler.sampling_ratio) == ("ROIAlign", 2)
    assert (pooler.output_size, len(pooler.scales)) == ((14, 4) if legacy else (28, 1))
    boxes = (heads.box_pooler.pooler_type, heads.box_pooler.sampling_ratio)
    assert boxes == (("ROIAlignV2", 0) if evolution else ("ROIAlign", 2))
