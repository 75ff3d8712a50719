"""Test-time augmentation of charts: the plain model where nothing is augmented, and upright means."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_densepose import CONFIGS, make_batch, small_model
from torch import nn

from lazycfg import LazyConfig, check
from lazycfg.data.transforms import RotationTransform
from lazycfg.modeling import DatasetMapperTTA
from lazycfg.projects.densepose import (
    DensePoseGeneralizedRCNNWithTTA,
    DensePoseTransformData,
    hflip_chart_output,
)
from lazycfg.projects.densepose.modeling.test_time_augmentation import resample_to_box, rotated_boxes

AVERAGED = ("coarse_segm", "fine_segm", "u", "v")


@pytest.fixture(scope="module")
def symmetry_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Charts are mirrored in u."""
    scipy_io = pytest.importorskip("scipy.io")
    path = tmp_path_factory.mktemp("symmetries") / "UV_symmetry_transforms.mat"
    cells = {key: np.empty((1, 24), dtype=object) for key in ("U_transforms", "V_transforms")}
    steps = np.arange(256) / 255
    for part in range(24):
        cells["U_transforms"][0, part] = np.tile(1 - steps, (256, 1))
        cells["V_transforms"][0, part] = np.tile(steps[:, None], (1, 256))
    scipy_io.savemat(path, cells)
    return path


def images(n: int = 2) -> list[dict[str, Any]]:
    return [{k: v for k, v in x.items() if k != "instances"} for x in make_batch(n)]


def with_tta(model: nn.Module, **kwargs: Any) -> DensePoseGeneralizedRCNNWithTTA:
    mapper = DatasetMapperTTA(min_sizes=kwargs.pop("sizes", (64,)), flip=kwargs.pop("flip", False))
    return DensePoseGeneralizedRCNNWithTTA(model=model, tta_mapper=mapper, **kwargs).eval()


def test_without_augmentation_it_is_the_plain_model() -> None:
    model = small_model("wc2").eval()
    batch = [{"image": x["image"]} for x in images()]  # of the shorter side 64
    tta = with_tta(model, batch_size=1)
    with torch.no_grad():
        expected = [model([x])[0]["instances"] for x in batch]
        got = [x["instances"] for x in tta(batch)]
    for a, b in zip(got, expected, strict=True):
        assert len(a) == len(b) > 0
        torch.testing.assert_close(a.pred_boxes.tensor, b.pred_boxes.tensor, rtol=1e-4, atol=1e-3)
        for name, value in vars(b.pred_densepose).items():
            if value is not None:
                torch.testing.assert_close(getattr(a.pred_densepose, name), value, rtol=1e-3, atol=1e-1)
    assert model.roi_heads.densepose_on


def test_mirrored_views_are_mirrored_back(symmetry_file: Path) -> None:
    """The mean of an image and its mirror image is that of both, wherever the average begins."""
    model = small_model().eval()
    batch = [{"image": images()[0]["image"]}]
    tta = with_tta(model, flip=True, symmetry_file=symmetry_file)
    with torch.no_grad():
        got = tta(batch)[0]["instances"]
        views = tta.tta_mapper(batch[0])
        boxes = got.pred_boxes.tensor
        flipped = boxes.clone()
        flipped[:, 0], flipped[:, 2] = 96 - boxes[:, 2], 96 - boxes[:, 0]
        outputs = []
        for view, own in zip(views, (boxes, flipped), strict=True):
            x = got[:]
            x.remove("pred_densepose")
            x.pred_boxes = type(x.pred_boxes)(own)
            given = model.inference([{"image": view["image"]}], [x], do_postprocess=False)
            outputs.append(given[0].pred_densepose)
    symmetries = DensePoseTransformData.load(symmetry_file)
    outputs[1] = hflip_chart_output(outputs[1], symmetries)
    for name in AVERAGED:
        mean = (getattr(outputs[0], name) + getattr(outputs[1], name)) / 2
        torch.testing.assert_close(getattr(got.pred_densepose, name), mean, rtol=1e-3, atol=1e-1)


def test_boxes_around_rotated_boxes() -> None:
    boxes = torch.tensor([[10.0, 20, 30, 60], [0, 0, 100, 50]])
    quarter = RotationTransform(50, 100, 90)
    np.testing.assert_allclose(
        rotated_boxes(boxes, quarter.matrix).numpy(), quarter.apply_box(boxes.numpy()), atol=1e-4
    )
    tilted = RotationTransform(50, 100, 30)
    np.testing.assert_allclose(
        rotated_boxes(boxes, tilted.matrix).numpy(), tilted.apply_box(boxes.numpy()), atol=1e-4
    )


@pytest.mark.parametrize("angle", [0, 30, 90, -45])
def test_maps_are_rotated_back(angle: float) -> None:
    """A smooth map over an image, read over the box around a rotated box, comes back over the box."""
    rotation = RotationTransform(60, 80, angle)
    boxes = torch.tensor([[10.0, 5, 60, 45], [20, 20, 40, 50]])
    around = rotated_boxes(boxes, rotation.matrix)
    side = 112
    steps = (torch.arange(side) + 0.5) / side

    def places(box: torch.Tensor) -> torch.Tensor:
        x, y = (box[k] + steps * (box[k + 2] - box[k]) for k in (0, 1))
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)

    def height(points: torch.Tensor) -> torch.Tensor:
        return torch.stack((points[..., 0] / 80, torch.sin(points[..., 1] / 20)))

    matrix = torch.tensor(rotation.matrix, dtype=torch.float32)
    back = matrix[:, :2].T
    maps = torch.stack([height((places(box) - matrix[:, 2]) @ back.T) for box in around])
    got = resample_to_box(maps, boxes, around, rotation.matrix)
    expected = torch.stack([height(places(box)) for box in boxes])
    assert (got - expected).abs().max() < 0.02
    if angle == 0:
        torch.testing.assert_close(got, maps, rtol=1e-4, atol=1e-4)


def test_rotated_views_have_a_part_in_the_mean() -> None:
    model = small_model("wc2").eval()
    batch = [{"image": x["image"]} for x in images()]
    with torch.no_grad():
        plain = with_tta(model)(batch)
        whole = with_tta(model, rotation_angles=[360.0])(batch)
        turned = with_tta(model, rotation_angles=[20.0, -20.0], batch_size=2)(batch)
    for a, b, c in zip(plain, whole, turned, strict=True):
        a, b, c = (x["instances"] for x in (a, b, c))
        # boxes are those of upright views
        torch.testing.assert_close(a.pred_boxes.tensor, c.pred_boxes.tensor)
        for name in AVERAGED:
            one, full, tilted = (getattr(x.pred_densepose, name) for x in (a, b, c))
            torch.testing.assert_close(full, one, rtol=1e-2, atol=0.5)
            assert (tilted - one).abs().mean() > 1e-3 * one.abs().mean()
            assert torch.isfinite(tilted).all()
        # a direction in a chart has no mean
        torch.testing.assert_close(c.pred_densepose.kappa_u, a.pred_densepose.kappa_u, rtol=1e-3, atol=1e-1)


def test_no_detections() -> None:
    model = small_model().eval()
    model.roi_heads.box_predictor.test_score_thresh = 1.1
    with torch.no_grad():
        (result,) = with_tta(model, rotation_angles=[10.0])([{"image": images()[0]["image"]}])
    assert len(result["instances"]) == 0


def test_mirrored_views_need_the_symmetries(tmp_path: Path) -> None:
    model = small_model().eval()
    with pytest.raises(ValueError, match=r"symmetry_file=UV_symmetry_transforms.mat; or give a tta_mapper"):
        with_tta(model, flip=True)
    with pytest.raises(FileNotFoundError, match="UV_symmetry_transforms"):
        with_tta(model, flip=True, symmetry_file=tmp_path / "UV_symmetry_transforms.mat")


def test_a_config_with_augmentation() -> None:
    cfg = LazyConfig.load(CONFIGS / "densepose_rcnn_R_50_FPN_s1x.py")
    from lazycfg.projects.densepose.configs.common.tta import with_tta as tta_of

    cfg.model = tta_of(cfg.model, cfg.dataloader)
    check(cfg)
    assert cfg.model._target_ is DensePoseGeneralizedRCNNWithTTA
    assert cfg.model.symmetry_file == cfg.dataloader.train.mapper.symmetry_file
    assert cfg.dataloader.test.mapper.augmentations == []
