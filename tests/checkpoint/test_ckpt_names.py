"""Whole Detectron models, keys under a foreign prefix, and keys of the model that are one tensor."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.checkpoint import CheckpointError, WeightsMismatchError, load_weights
from lazycfg.model_zoo import get_config

# -- whole Detectron models


def detectron_names(fpn=True):
    """Names that Detectron gave to the layers after the backbone, and their shapes with 81 classes."""

    def layer(name, *shape, bias=None):
        return {f"{name}_w": shape, f"{name}_b": (shape[0] if bias is None else bias,)}

    names = {}
    for stage, last, channels in ((2, 2, 256), (3, 3, 512), (4, 5, 1024), (5, 2, 2048)):
        lateral = "" if stage == 5 else "_lateral"
        names |= layer(f"fpn_inner_res{stage}_{last}_sum{lateral}", 256, channels, 1, 1)
        names |= layer(f"fpn_res{stage}_{last}_sum", 256, 256, 3, 3)
    names |= layer("conv_rpn_fpn2", 256, 256, 3, 3)
    names |= layer("rpn_cls_logits_fpn2", 3, 256, 1, 1) | layer("rpn_bbox_pred_fpn2", 12, 256, 1, 1)
    names |= layer("fc6", 1024, 12544) | layer("fc7", 1024, 1024)
    names |= layer("cls_score", 81, 1024) | layer("bbox_pred", 324, 1024)
    for n in range(1, 5):
        names |= layer(f"_[mask]_fcn{n}", 256, 256, 3, 3)
    return names | layer("conv5_mask", 256, 256, 2, 2) | layer("mask_fcn_logits", 81, 256, 1, 1)


def backbone_names(model):
    """The Caffe2 names of the model's ResNet: scale and shift for each normalisation."""
    names = {}
    blobs = {"weight": "w", "norm.weight": "bn_s", "norm.bias": "bn_b"}
    branches = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}
    for key, value in model.backbone.bottom_up.state_dict().items():
        stage, *rest = key.split(".")
        leaf = ".".join(rest[1:] if stage == "stem" else rest[2:])
        if leaf in blobs:
            middle = "conv1" if stage == "stem" else f"{stage}_{rest[0]}_branch{branches[rest[1]]}"
            prefix = "res_" if stage == "stem" and leaf != "weight" else ""
            names[f"{prefix}{middle}_{blobs[leaf]}"] = tuple(value.shape)
    return names


@pytest.fixture(scope="module")
def mask_rcnn():
    cfg = get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
    with torch.device("meta"):
        return instantiate(cfg.model)


def test_a_whole_detectron_model(mask_rcnn, tmp_path):
    rng = np.random.default_rng(0)
    names = {**backbone_names(mask_rcnn), **detectron_names()}
    blobs = {name: rng.standard_normal(shape, np.float32) for name, shape in names.items()}
    blobs |= {"fc6_w_momentum": np.zeros((1024, 12544), np.float32), "lr": np.float32([0.01])}
    with (tmp_path / "model_final.pkl").open("wb") as file:
        pickle.dump({"blobs": blobs, "cfg": "MODEL: {}"}, file, protocol=2)
    report = load_weights(mask_rcnn, tmp_path / "model_final.pkl")
    assert len(report.loaded) == len(names)
    assert not report.problems
    assert report.newly_initialized == ()
    assert set(report.not_needed) == {"fc6_w_momentum", "lr"}
    assert report.adapter == "caffe2"
    assert "pooler_type='ROIAlign'" in str(report)
    state = mask_rcnn.state_dict()

    def same(key, value):
        np.testing.assert_array_equal(state[key].numpy(), value)

    same("backbone.fpn_lateral4.weight", blobs["fpn_inner_res4_5_sum_lateral_w"])
    same("backbone.fpn_lateral5.bias", blobs["fpn_inner_res5_2_sum_b"])
    same("backbone.fpn_output3.weight", blobs["fpn_res3_3_sum_w"])
    same("proposal_generator.rpn_head.objectness_logits.bias", blobs["rpn_cls_logits_fpn2_b"])
    same("proposal_generator.rpn_head.anchor_deltas.weight", blobs["rpn_bbox_pred_fpn2_w"])
    same("roi_heads.box_head.fc2.weight", blobs["fc7_w"])
    same("roi_heads.mask_head.mask_fcn3.weight", blobs["_[mask]_fcn3_w"])
    same("roi_heads.mask_head.deconv.weight", blobs["conv5_mask_w"])
    # Their background is the first class, ours the last one of the scores
    same("roi_heads.box_predictor.cls_score.bias", np.roll(blobs["cls_score_b"], -1))
    same("roi_heads.box_predictor.bbox_pred.weight", blobs["bbox_pred_w"][4:])
    same("roi_heads.mask_head.predictor.weight", blobs["mask_fcn_logits_w"][1:])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv_rpn_w", "proposal_generator.rpn_head.conv.weight"),
        ("rpn_bbox_pred_b", "proposal_generator.rpn_head.anchor_deltas.bias"),
        ("fpn_inner_res5_2_sum_gn_s", "fpn_lateral5.norm.weight"),
        ("fpn_res2_2_sum_gn_b", "fpn_output2.norm.bias"),
        ("head_conv4_gn_s", "box_head.conv4.norm.weight"),
        ("conv_fcn8_w", "keypoint_head.conv_fcn8.weight"),
        ("kps_score_lowres_b", "keypoint_head.score_lowres.bias"),
        ("conv1_w", "stem.conv1.weight"),
        ("pred_w", "linear.weight"),
        ("something_w", "something_w"),
    ],
)
def test_names_of_detectron(theirs, ours):
    from lazycfg.checkpoint.adapters import ADAPTERS

    assert ADAPTERS["caffe2"].rename(theirs) == ours


# -- foreign prefixes


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(2, 3)
        self.head = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))


def under(prefix, state):
    return {f"{prefix}{key}": value for key, value in state.items()}


@pytest.mark.parametrize("prefix", ["my.prefix.", "x.", "model.module.", "a.b.c.d."])
def test_what_stands_before_all_keys_is_found_and_reported(prefix):
    source, model = Part().state_dict(), Part()
    report = load_weights(model, under(prefix, source))
    assert (report.strip, len(report.loaded), report.problems) == (prefix, 6, False)
    assert f"without '{prefix}'" in report.summary()
    assert torch.equal(model.stem.weight, source["stem.weight"])


def test_other_keys_beside_the_prefix_are_unexpected():
    source = under("my.", Part().state_dict()) | {"loss.weight": torch.ones(2), "optimizer": torch.ones(1)}
    with pytest.raises(WeightsMismatchError) as caught:
        load_weights(Part(), source)
    assert caught.value.report.unexpected == ("loss.weight", "optimizer")
    report = load_weights(Part(), source, ignore=["loss.*", "optimizer"])
    assert report.strip == "my."
    assert not report.problems


def test_two_prefixes_that_fit_as_well_are_ambiguous():
    student, teacher = Part().state_dict(), Part().state_dict()
    source = under("student.", student) | under("teacher.", teacher)
    with pytest.raises(CheckpointError, match=r"without 'student\.' and 'teacher\.'; say which with strip="):
        load_weights(Part(), source)
    model = Part()
    load_weights(model, source, strip="teacher.")
    assert torch.equal(model.stem.weight, teacher["stem.weight"])


def test_keys_that_fit_as_they_are_win():
    source = Part().state_dict()
    model = nn.ModuleDict({"a": Part(), "b": Part()})
    whole = under("a.", source) | under("b.", Part().state_dict())
    assert load_weights(model, whole).strip == ""
    assert torch.equal(model["a"].stem.weight, source["stem.weight"])
    assert load_weights(Part(), source).strip == ""


def test_a_part_under_a_foreign_prefix_goes_into_its_place():
    source = under("net.encoder.", Part().state_dict())
    model = nn.ModuleDict({"backbone": Part(), "rest": nn.Linear(1, 1)})
    report = load_weights(model, source)
    assert (report.strip, report.prefix) == ("net.encoder.", "backbone.")
    assert report.newly_initialized == ("rest.weight", "rest.bias")


# -- one tensor under several names


def heads(count=3):
    return nn.ModuleList([nn.Linear(2, 1)] * count)


def test_different_values_for_one_tensor_are_refused():
    source = nn.ModuleList(nn.Linear(2, 1) for _ in range(3)).state_dict()
    model = heads()
    before = model[0].weight.clone()
    for strict in (True, False):
        with pytest.raises(WeightsMismatchError, match=r"0\.weight and 1\.weight are one tensor.*copy\(\)"):
            load_weights(model, source, strict=strict)
    assert torch.equal(model[0].weight, before)
    load_weights(model, source, ignore=["1.*", "2.*"])
    assert torch.equal(model[2].weight, source["0.weight"])
    with torch.device("meta"):
        model = heads()
    with pytest.raises(WeightsMismatchError, match="are one tensor"):
        load_weights(model, source)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_equal_values_and_one_value_for_one_tensor_load(device):
    head = nn.Linear(2, 1)
    with torch.no_grad():
        head.weight[0, 0] = float("nan")
    for keys in ((0, 1, 2), (1,)):
        source = {f"{n}.{key}": value.clone() for n in keys for key, value in head.state_dict().items()}
        with torch.device(device):
            model = heads()
        report = load_weights(model, source)
        assert not report.problems
        assert len({id(module.weight) for module in model}) == 1
        assert torch.equal(model[2].bias, head.bias)


def test_a_list_of_one_call_in_a_config(tmp_path):
    (tmp_path / "x.py").write_text(
        "from torch import nn\nfrom lazycfg import LazyCall as L\n"
        "model = L(nn.ModuleList)(modules=[L(nn.Linear)(2, 1)] * 3)\n"
        "apart = L(nn.ModuleList)(modules=[L(nn.Linear)(2, 1).copy() for _ in range(3)])\n"
    )
    cfg = LazyConfig.load(tmp_path / "x.py")
    source = nn.ModuleList(nn.Linear(2, 1) for _ in range(3)).state_dict()
    with pytest.raises(WeightsMismatchError, match="the config has the same call twice"):
        load_weights(instantiate(cfg.model), source)
    assert not load_weights(instantiate(cfg.apart), source).problems
