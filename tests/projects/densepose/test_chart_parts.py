"""Heads, predictors, decoder, filter and outputs of chart models."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_densepose import annotation
from torch import nn

from lazycfg.layers import ShapeSpec
from lazycfg.projects.densepose import (
    Decoder,
    DensePoseChartPredictor,
    DensePoseChartPredictorOutput,
    DensePoseChartPredictorOutputWithConfidences,
    DensePoseChartWithConfidencePredictor,
    DensePoseConfidenceModelConfig,
    DensePoseDataFilter,
    DensePoseDeepLabHead,
    DensePoseList,
    DensePoseSegmConfidenceConfig,
    DensePoseUVConfidenceConfig,
    DensePoseV1ConvXHead,
)
from lazycfg.structures import BitMasks, Boxes, Instances
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage


def confidences(uv: str | None = "iid_iso", segm: bool = True) -> DensePoseConfidenceModelConfig:
    return DensePoseConfidenceModelConfig(
        uv_confidence=DensePoseUVConfidenceConfig(enabled=uv is not None, type=uv or "iid_iso"),
        segm_confidence=DensePoseSegmConfidenceConfig(enabled=segm, epsilon=0.1),
    )


def test_the_first_head_is_a_stack_of_convolutions() -> None:
    head = DensePoseV1ConvXHead(16, conv_head_dim=8, num_stacked_convs=3)
    assert list(head.state_dict()) == [
        f"body_conv_fcn{k}.{kind}" for k in (1, 2, 3) for kind in ("weight", "bias")
    ]
    x = expected = torch.randn(2, 16, 7, 5)
    for k in (1, 2, 3):
        expected = F.relu(
            F.conv2d(expected, *head.get_submodule(f"body_conv_fcn{k}").parameters(), padding=1)
        )
    torch.testing.assert_close(head(x), expected)
    weight = DensePoseV1ConvXHead(64, conv_head_dim=64, num_stacked_convs=1).body_conv_fcn1.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    with pytest.raises(ValueError, match="conv_head_kernel must be odd, got 4"):
        DensePoseV1ConvXHead(16, conv_head_kernel=4)


NON_LOCAL = ["g.0", "theta", "phi.0", "W.0", "W.1"]


@pytest.mark.parametrize("nonlocal_on", [False, True])
def test_the_deeplab_head_has_the_published_keys(nonlocal_on: bool) -> None:
    head = DensePoseDeepLabHead(32, conv_head_dim=64, num_stacked_convs=2, nonlocal_on=nonlocal_on)
    keys = {f"ASPP.convs.{k}.0.weight" for k in range(4)} | {"ASPP.convs.4.1.weight", "ASPP.project.0.weight"}
    keys |= {f"ASPP.convs.{k}.1.{kind}" for k in range(4) for kind in ("weight", "bias")}
    keys |= {f"ASPP.convs.4.2.{kind}" for kind in ("weight", "bias")}
    for k in (1, 2):
        keys |= {f"body_conv_fcn{k}.{name}" for name in ("weight", "norm.weight", "norm.bias")}
    if nonlocal_on:
        keys |= {f"NLBlock.{name}.{kind}" for name in NON_LOCAL for kind in ("weight", "bias")}
    assert set(head.state_dict()) == keys


def test_the_non_local_block_is_a_softmax_over_places() -> None:
    torch.manual_seed(0)
    block = DensePoseDeepLabHead(32, conv_head_dim=32, num_stacked_convs=1, nonlocal_on=True).NLBlock
    x = torch.randn(2, 32, 6, 8)
    assert torch.equal(block(x), x)  # it begins with nothing
    nn.init.normal_(block.W[1].weight)
    theta, phi, g = (f(x).flatten(2) for f in (block.theta, block.phi, block.g))
    weights = torch.softmax(torch.einsum("nci,ncj->nij", theta, phi), dim=2)
    seen = torch.einsum("nij,ncj->nci", weights, g).view(2, 16, 6, 8)
    torch.testing.assert_close(block(x), x + block.W(seen), rtol=1e-4, atol=1e-4)


def test_the_pyramid_of_the_deeplab_head() -> None:
    torch.manual_seed(0)
    aspp = DensePoseDeepLabHead(32, conv_head_dim=32, num_stacked_convs=0).ASPP
    x = torch.randn(3, 32, 9, 7)
    parts = []
    for branch, dilation in zip(aspp.convs[:4], (0, 6, 12, 56), strict=True):
        conv, norm, _ = branch
        y = F.conv2d(x, conv.weight, padding=dilation, dilation=max(dilation, 1))
        parts.append(F.relu(F.group_norm(y, 32, norm.weight, norm.bias)))
    _, conv, norm, _ = aspp.convs[4]
    pooled = F.relu(norm(F.conv2d(x.mean((2, 3), keepdim=True), conv.weight)))
    parts.append(F.interpolate(pooled, size=(9, 7), mode="bilinear", align_corners=False))
    torch.testing.assert_close(aspp(x), F.relu(F.conv2d(torch.cat(parts, dim=1), aspp.project[0].weight)))
    with pytest.raises(ValueError, match="32 groups: 48 channels do not fit"):
        DensePoseDeepLabHead(48, conv_head_dim=32, num_stacked_convs=1)


@pytest.mark.parametrize("coarse", [2, 15])
def test_the_chart_predictor(coarse: int) -> None:
    predictor = DensePoseChartPredictor(8, num_coarse_segm_channels=coarse)
    names = ["ann_index_lowres", "index_uv_lowres", "u_lowres", "v_lowres"]
    assert list(predictor.state_dict()) == [f"{n}.{kind}" for n in names for kind in ("weight", "bias")]
    x = torch.randn(3, 8, 7, 7)
    out = predictor(x)
    assert type(out) is DensePoseChartPredictorOutput
    assert out.coarse_segm.shape == (3, coarse, 28, 28)
    assert out.fine_segm.shape == out.u.shape == out.v.shape == (3, 25, 28, 28)
    low = F.conv_transpose2d(x, predictor.v_lowres.weight, predictor.v_lowres.bias, stride=2, padding=1)
    torch.testing.assert_close(
        out.v, F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
    )
    with pytest.raises(ValueError, match="deconv_kernel must be even, got 3"):
        DensePoseChartPredictor(8, deconv_kernel=3)


@pytest.mark.parametrize("uv", [None, "iid_iso", "indep_aniso"])
@pytest.mark.parametrize("segm", [False, True])
def test_the_predictor_with_confidences(uv: str | None, segm: bool) -> None:
    predictor = DensePoseChartWithConfidencePredictor(8, confidence_model_cfg=confidences(uv, segm))
    given = {"iid_iso": {"sigma_2"}, "indep_aniso": {"sigma_2", "kappa_u", "kappa_v"}}.get(uv, set())
    channels = dict.fromkeys(given, 25)
    if segm:
        channels |= {"fine_segm_confidence": 1, "coarse_segm_confidence": 1}
    layers = {f"{name}_lowres" for name in channels}
    plain = {"ann_index_lowres", "index_uv_lowres", "u_lowres", "v_lowres"}
    assert {name for name, _ in predictor.named_children()} == plain | layers
    x = torch.randn(2, 8, 7, 7)
    out = predictor(x)
    confident = {name: value for name, value in vars(out).items() if name not in ("u", "v")}
    for name, value in confident.items():
        if name in channels:
            assert value.shape == (2, channels[name], 28, 28)
        elif name not in ("coarse_segm", "fine_segm"):
            assert value is None
    maps = predictor.maps(x)
    for name in ("coarse_segm", "fine_segm"):
        factor = getattr(out, f"{name}_confidence") if segm else 1.0
        assert not segm or factor.min() > 0.1
        torch.testing.assert_close(getattr(out, name), maps[name] * factor)


def test_outputs_are_indexed_joined_and_moved() -> None:
    out = DensePoseChartWithConfidencePredictor(4, confidence_model_cfg=confidences())(
        torch.randn(5, 4, 3, 3)
    )
    assert len(out) == 5
    assert out.device.type == "cpu"
    mask = torch.tensor([True, False, True, True, False])
    for item, rows in [
        (2, [2]),
        (-1, [4]),
        (slice(1, 4), [1, 2, 3]),
        (mask, [0, 2, 3]),
        (mask.numpy(), [0, 2, 3]),
        (torch.tensor([3, 0]), [3, 0]),
        (np.array([3, 0]), [3, 0]),
        ([4, 4], [4, 4]),
    ]:
        part = out[item]
        assert type(part) is type(out)
        assert len(part) == len(rows)
        for name, value in vars(out).items():
            if value is None:
                assert getattr(part, name) is None
            else:
                assert torch.equal(getattr(part, name), value[rows])
    for item in (5, -6):
        with pytest.raises(IndexError, match="out of range for the outputs of 5 objects"):
            out[item]
    assert len(out[:0]) == 0
    joined = type(out).cat([out[:2], out[2:2], out[2:]])
    assert torch.equal(joined.sigma_2, out.sigma_2)
    assert [len(part) for part in out.split([2, 0, 3])] == [2, 0, 3]
    assert out.to(torch.float64).u.dtype == torch.float64
    assert out.to("meta").device.type == "meta"
    bare = DensePoseChartPredictorOutputWithConfidences(
        coarse_segm=out.coarse_segm, fine_segm=out.fine_segm, u=out.u, v=out.v
    )
    with pytest.raises(ValueError, match=r"some outputs have no coarse_segm_confidence, fine_.*sigma_2"):
        type(out).cat([out, bare])
    with pytest.raises(ValueError, match="nothing to join"):
        DensePoseChartPredictorOutput.cat([])
    instances = Instances((9, 9), scores=torch.rand(5), pred_densepose=out)
    assert torch.equal(instances[mask].pred_densepose.u, out.u[mask])
    assert len(Instances.cat([instances, instances]).pred_densepose) == 10


def test_the_decoder_adds_up_the_levels() -> None:
    levels = {f"p{k}": ShapeSpec(channels=4, stride=2**k) for k in (2, 3, 4)}
    decoder = Decoder(input_shape=levels, num_classes=6, conv_dims=5)
    convs = {name for name, layer in decoder.named_modules() if isinstance(layer, nn.Conv2d)}
    assert convs == {"p2.0", "p3.0", "p4.0", "p4.2", "predictor"}
    maps = {f"p{k}": torch.randn(2, 4, 64 >> k, 96 >> k) for k in (2, 3, 4)}
    total = sum(decoder.get_submodule(name)(own) for name, own in maps.items())
    out = decoder(maps)
    assert out.shape == (2, 6, 16, 24)
    torch.testing.assert_close(out, decoder.predictor(total))
    with pytest.raises(ValueError, match="Decoder: the stride 6 of 'a'"):
        Decoder(input_shape={"a": ShapeSpec(channels=4, stride=6)})


def sampled(**fields) -> Instances:
    """A background, one that overlaps enough, one too little, one without an annotation."""
    gt = torch.tensor([[10.0, 10, 50, 50]]).repeat(4, 1)
    boxes = torch.tensor([[80.0, 80, 90, 90], [12, 10, 50, 50], [25, 10, 50, 50], [10, 10, 50, 50]])
    x = Instances((100, 100), proposal_boxes=Boxes(boxes), gt_boxes=Boxes(gt))
    x.gt_classes = torch.tensor([1, 0, 0, 0])
    for name, value in fields.items():
        x.set(name, value)
    return x


def test_the_filter_keeps_what_has_something_to_learn() -> None:
    data = annotation(0)
    box = torch.zeros(4, 4)
    annotated = sampled(gt_densepose=DensePoseList([data, data, data, None], box, (100, 100)))
    masked = sampled(gt_masks=BitMasks(torch.zeros(4, 100, 100, dtype=torch.bool)))
    nothing = Instances((50, 60), proposal_boxes=Boxes(torch.rand(2, 4)), gt_classes=torch.tensor([1, 1]))
    batch = [nothing, annotated, masked]
    with EventStorage(0) as storage, SyncCounter() as counter:
        kept = DensePoseDataFilter()(batch, bg_label=1)
    assert counter.num_syncs == 1
    # Images that have nothing stay, so that each goes with its maps: the reference mixes them up here
    assert [len(x) for x in kept] == [0, 1, 0]
    assert torch.equal(kept[1].proposal_boxes.tensor, annotated.proposal_boxes.tensor[1:2])
    assert list(kept[1].gt_densepose) == [data]
    assert storage.latest()["densepose/num_fg_samples"][0] == pytest.approx(1 / 3)
    kept = DensePoseDataFilter(keep_masks=True)(batch, bg_label=1)
    assert [len(x) for x in kept] == [0, 1, 2]
    assert DensePoseDataFilter(iou_threshold=0.5)(batch, bg_label=1)[1].gt_densepose[1] is data
    assert [len(x) for x in DensePoseDataFilter()([nothing], 1)] == [0]
    with pytest.warns(UserWarning, match="is dataloader.train.mapper a DensePoseMapper"):
        assert [len(x) for x in DensePoseDataFilter()([nothing, masked], 1)] == [0, 0]
    assert DensePoseDataFilter()([], 1) == []
