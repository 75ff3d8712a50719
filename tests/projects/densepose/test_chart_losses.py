"""Losses of charts against plain loops over points, and what becomes of odd annotations."""

import math

import pytest
import torch
import torch.nn.functional as F
from small_densepose import annotation
from torch import Tensor

from lazycfg.projects.densepose import (
    DensePoseChartLoss,
    DensePoseChartPredictorOutputWithConfidences,
    DensePoseChartWithConfidenceLoss,
    DensePoseConfidenceModelConfig,
    DensePoseDataRelative,
    DensePoseList,
    DensePoseUVConfidenceConfig,
    MaskLoss,
    SegmentationLoss,
)
from lazycfg.projects.densepose.modeling.losses.sampling import PointSampler
from lazycfg.projects.densepose.modeling.losses.segm import resample_masks
from lazycfg.structures import BitMasks, Boxes, Instances

SIDE = 28
NAMES = ("coarse_segm", "fine_segm", "u", "v", "sigma_2", "kappa_u", "kappa_v")


def proposals(*datas: DensePoseDataRelative | None, shift: float = 3.0) -> Instances:
    """Objects of different sizes, and proposals beside them."""
    boxes = torch.tensor([[10.0 + 9 * k, 20 - k, 70 + 11 * k, 95 + 3 * k] for k in range(len(datas))])
    moved = boxes.reshape(-1, 4) + torch.tensor([shift, -shift / 2, -shift, shift])
    x = Instances((120, 200), proposal_boxes=Boxes(moved), gt_boxes=Boxes(boxes.reshape(-1, 4)))
    x.gt_densepose = DensePoseList(datas, x.gt_boxes.tensor, x.image_size)
    return x


def outputs(n: int, coarse: int = 2, **other: Tensor) -> DensePoseChartPredictorOutputWithConfidences:
    g = torch.Generator().manual_seed(1)
    maps = {
        name: torch.randn(n, coarse if name == "coarse_segm" else 25, SIDE, SIDE, generator=g)
        for name in NAMES
    }
    maps |= other
    return DensePoseChartPredictorOutputWithConfidences(
        **{name: value.requires_grad_() for name, value in maps.items()}
    )


def value_at(maps: Tensor, x: float, y: float) -> Tensor:
    """Bilinear, (C, S, S) at a place in cells -> (C,)."""
    last = maps.shape[-1] - 1
    x0, y0 = min(int(x), last), min(int(y), last)
    x1, y1 = min(x0 + 1, last), min(y0 + 1, last)
    x, y = min(x, x1), min(y, y1)
    wx, wy = x - x0, y - y0
    upper = maps[:, y0, x0] * (1 - wx) + maps[:, y0, x1] * wx
    lower = maps[:, y1, x0] * (1 - wx) + maps[:, y1, x1] * wx
    return upper * (1 - wy) + lower * wy


def plain_losses(x: Instances, out, kind: str) -> dict[str, float]:
    """One point after another, as the formulas are published."""
    points, parts, seen = [], [], 0
    for r, data in enumerate(x.gt_densepose):
        if data is None:
            continue
        gt, own = x.gt_boxes.tensor[r].tolist(), x.proposal_boxes.tensor[r].tolist()
        for k in range(len(data.x)):
            px = gt[0] + float(data.x[k]) * (gt[2] - gt[0]) / 256 - own[0]
            py = gt[1] + float(data.y[k]) * (gt[3] - gt[1]) / 256 - own[1]
            w, h = own[2] - own[0], own[3] - own[1]
            if not (0 <= px < w and 0 <= py < h):
                continue
            at = {
                name: value_at(getattr(out, name)[r].detach().double(), px * SIDE / w, py * SIDE / h)
                for name in NAMES
            }
            part = int(data.i[k])
            parts.append(F.cross_entropy(at["fine_segm"][None], torch.tensor([part])).item())
            if part == 0:
                continue
            seen += 1
            du, dv = at["u"][part] - data.u[k].double(), at["v"][part] - data.v[k].double()
            variance = F.softplus(at["sigma_2"][part]) + 0.01
            ku, kv = at["kappa_u"][part], at["kappa_v"][part]
            if kind == "charts":
                points.append([d.abs() - 0.5 if d.abs() > 1 else d * d / 2 for d in (du, dv)])
            elif kind == "iid_iso":
                points.append(0.5 * (math.log(2 * math.pi) + 2 * variance.log() + (du**2 + dv**2) / variance))
            else:
                covariance = variance * torch.eye(2).double() + torch.outer(
                    torch.stack((ku, kv)), torch.stack((ku, kv))
                )
                error = torch.stack((du, dv))
                squares = error @ covariance.inverse() @ error
                points.append(0.5 * (math.log(2 * math.pi) + covariance.det().log() + squares))
    assert seen
    losses = {"loss_densepose_I": sum(parts) / len(parts)}
    if kind == "charts":
        losses["loss_densepose_U"] = 0.01 * sum(float(p[0]) for p in points)
        losses["loss_densepose_V"] = 0.01 * sum(float(p[1]) for p in points)
    else:
        losses["loss_densepose_UV"] = 0.01 * sum(float(p) for p in points)
    return losses


def chart_loss(kind: str, **kwargs) -> DensePoseChartLoss:
    if kind == "charts":
        return DensePoseChartLoss(heatmap_size=SIDE, **kwargs)
    confidences = DensePoseConfidenceModelConfig(
        uv_confidence=DensePoseUVConfidenceConfig(enabled=True, type=kind)
    )
    return DensePoseChartWithConfidenceLoss(heatmap_size=SIDE, confidence_model_cfg=confidences, **kwargs)


@pytest.mark.parametrize("kind", ["charts", "iid_iso", "indep_aniso"])
def test_losses_at_points_are_those_of_a_plain_loop(kind: str) -> None:
    data, other = annotation(0), annotation(1, points=7)
    other.i[2] = 0  # a point of the background
    data.x[:3] = torch.tensor([0.0, 255.9, 128.0])  # at the sides
    images = [proposals(data, None, other), proposals(), proposals(data)]
    images[1].remove("gt_densepose")  # no objects, no field
    out = outputs(4)
    got = chart_loss(kind)(images, out)
    whole = Instances(
        (120, 200),
        proposal_boxes=Boxes.cat([x.proposal_boxes for x in images]),
        gt_boxes=Boxes.cat([x.gt_boxes for x in images]),
        gt_densepose=[data, None, other, data],
    )
    expected = plain_losses(whole, out, kind)
    assert {name: got[name].item() for name in expected} == pytest.approx(expected, rel=1e-5)
    assert set(got) == {*expected, "loss_densepose_S"}
    sum(got.values()).backward()
    used = {"charts": NAMES[:4], "iid_iso": NAMES[:5], "indep_aniso": NAMES}[kind]
    for name in NAMES:
        grad = getattr(out, name).grad
        assert (grad is not None) == (name in used)
        assert grad is None or not grad[1].any()  # the object without annotation
        assert grad is None or (torch.isfinite(grad).all() and grad[[0, 2, 3]].flatten(1).any(dim=1).all())


def plain_resampled(mask: Tensor, box: list[float], new: list[float]) -> Tensor:
    out = torch.zeros(SIDE, SIDE)
    for row in range(SIDE):
        for column in range(SIDE):
            x = new[0] + column / SIDE * (new[2] - new[0])
            y = new[1] + row / SIDE * (new[3] - new[1])
            u = (x - box[0]) / (box[2] - box[0]) * (mask.shape[1] - 1)
            v = (y - box[1]) / (box[3] - box[1]) * (mask.shape[0] - 1)
            if -0.5 <= u <= mask.shape[1] - 0.5 and -0.5 <= v <= mask.shape[0] - 0.5:
                out[row, column] = mask[round(v), round(u)]
    return out


@pytest.mark.parametrize("channels", [2, 15])
def test_segmentation_loss_is_that_of_plain_loops(channels: int) -> None:
    x = proposals(annotation(3), annotation(4), None, shift=-9.0)  # proposals stick out of the objects
    out = outputs(3, channels)
    got = SegmentationLoss(n_segm_chan=channels, heatmap_size=SIDE)([x], out)
    masks = torch.stack(
        [
            plain_resampled(data.segm, x.gt_boxes.tensor[r].tolist(), x.proposal_boxes.tensor[r].tolist())
            for r, data in enumerate(x.gt_densepose[:2])
        ]
    )
    resampled = resample_masks(
        torch.stack([data.segm for data in x.gt_densepose[:2]]),
        x.gt_boxes.tensor[:2],
        x.proposal_boxes.tensor[:2],
        (SIDE, SIDE),
    )
    assert (masks != resampled).sum() <= 2  # a tie may fall to either side
    labels = (masks > 0).long() if channels == 2 else masks.long()
    assert got.item() == pytest.approx(F.cross_entropy(out.coarse_segm[:2], labels).item(), rel=1e-3)


def test_a_batch_in_which_some_annotations_have_no_masks_is_trained_on_the_others() -> None:
    """The reference trains on none of them."""
    bare = annotation(1).replace(segm=None)
    loss = SegmentationLoss(heatmap_size=SIDE)
    out = outputs(2)
    both, one = proposals(annotation(0), bare), proposals(annotation(0))
    assert loss([both], out).item() == pytest.approx(loss([one], out[0]).item())
    assert loss([both], out).item() > 0


def test_mask_loss_is_the_mean_over_all_proposals() -> None:
    x = proposals(annotation(0), None)
    tensor = torch.zeros(2, 120, 200, dtype=torch.bool)
    tensor[0, 20:60], tensor[1, :, :50] = True, True
    x.gt_masks = BitMasks(tensor)
    out = outputs(2)
    labels = x.gt_masks.crop_and_resize(x.proposal_boxes.tensor, SIDE).long()
    expected = F.cross_entropy(out.coarse_segm, labels).item()
    assert MaskLoss()([x], out).item() == pytest.approx(expected)
    loss = DensePoseChartLoss(heatmap_size=SIDE, segm_trained_by_masks=True, w_segm=2.0)
    assert loss([x], out)["loss_densepose_S"].item() == pytest.approx(2 * expected)
    # Masks count without any point: in the reference they do not
    bare = proposals(None, None)
    bare.gt_masks = x.gt_masks
    losses = {name: value.item() for name, value in loss([bare], out).items()}
    assert losses.pop("loss_densepose_S") == pytest.approx(2 * expected)
    assert set(losses.values()) == {0.0}
    bare.remove("gt_masks")
    with pytest.raises(ValueError, match=r"trained by masks, but the ground truth has none"):
        loss([bare], out)


@pytest.mark.parametrize("kind", ["charts", "indep_aniso"])
@pytest.mark.parametrize("case", ["no proposals", "no annotations", "no points", "outside", "background"])
def test_without_points_of_parts_all_losses_are_zero_and_have_gradients(kind: str, case: str) -> None:
    data = annotation(0)
    x = {
        "no proposals": lambda: proposals(),
        "no annotations": lambda: proposals(None),
        "no points": lambda: proposals(annotation(0, points=0)),
        "outside": lambda: proposals(data),
        "background": lambda: proposals(data.replace(i=torch.zeros_like(data.i))),
    }[case]()
    if case == "outside":
        x.proposal_boxes = Boxes(x.gt_boxes.tensor + 500)
    out = outputs(len(x))
    losses = chart_loss(kind)([x], out)
    assert {value.item() for value in losses.values()} == {0.0}
    assert len(losses) == (4 if kind == "charts" else 3)
    sum(losses.values()).backward()
    used = NAMES[:4] if kind == "charts" else NAMES
    for name in used:
        grad = getattr(out, name).grad
        assert grad is not None, name
        assert not grad.any()


def test_a_proposal_of_no_size_gives_no_nan() -> None:
    x = proposals(annotation(0), annotation(1))
    x.proposal_boxes.tensor[0] = torch.tensor([30.0, 30, 30, 60])
    out = outputs(2)
    losses = DensePoseChartLoss(heatmap_size=SIDE)([x], out)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(getattr(out, name).grad).all() for name in NAMES[:4])
    assert not out.u.grad[0].any()


def test_a_sampler_reads_the_corners_of_the_map() -> None:
    box = torch.tensor([[0.0, 0, 56, 28]])
    maps = torch.arange(SIDE * SIDE).float().view(1, 1, SIDE, SIDE)
    pairs = torch.zeros(3, dtype=torch.int64)
    x, y = torch.tensor([0.0, 255.99, 256]), torch.tensor([0.0, 255.99, 100])
    sampler = PointSampler(pairs, x, y, box, box, (SIDE, SIDE))
    assert sampler.valid.tolist() == [True, True, False]
    assert sampler.channels(maps)[:2, 0].tolist() == [0.0, SIDE * SIDE - 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"i": torch.full((30,), 25)}, r"points on parts 25 to 25 \(dp_I\), the model knows parts 1 to 24"),
        ({"segm": torch.full((256, 256), 15.0)}, r"labels 15 to 15, the model has 15 channels"),
        ({"segm": torch.zeros(3, 256, 256)}, r"shape \(3, 256, 256\)"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(change, message: str) -> None:
    x = proposals(annotation(0).replace(**change))
    with pytest.raises(ValueError, match=message):
        DensePoseChartLoss(heatmap_size=SIDE)([x], outputs(1))


def test_arguments_that_do_not_fit_are_refused() -> None:
    x = proposals(annotation(0))
    with pytest.raises(ValueError, match=r"maps are of \(28, 28\).*densepose_losses.heatmap_size=28"):
        DensePoseChartLoss(heatmap_size=112)([x], outputs(1))
    with pytest.raises(ValueError, match="outputs of 2 objects for 1 proposals"):
        DensePoseChartLoss(heatmap_size=SIDE)([x], outputs(2))
    out = outputs(1)
    out.kappa_v = None
    with pytest.raises(ValueError, match="gives no kappa_v: both need the same confidence_model_cfg"):
        chart_loss("indep_aniso")([x], out)
    with pytest.raises(ValueError, match=r"type is one of \['iid_iso', 'indep_aniso'\], got 'iid'"):
        DensePoseUVConfidenceConfig(type="iid")
    with pytest.raises(ValueError, match="epsilon must be positive"):
        DensePoseUVConfidenceConfig(epsilon=0.0)
