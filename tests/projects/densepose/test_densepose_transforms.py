"""Annotations follow the transforms of their image."""

import numpy as np
import pytest
import torch

from lazycfg.data.transforms import (
    BlendTransform,
    CropTransform,
    HFlipTransform,
    NoOpTransform,
    PadTransform,
    ResizeTransform,
    RotationTransform,
    TransformList,
    VFlipTransform,
)
from lazycfg.projects.densepose.figures.body import build_surface, coarse_label
from lazycfg.projects.densepose.figures.drawing import draw_figures
from lazycfg.projects.densepose.make_figures import make_surface_files
from lazycfg.projects.densepose.structures import (
    DensePoseDataRelative,
    DensePoseFileError,
    DensePoseList,
    DensePoseTransformData,
    transform_densepose,
)
from lazycfg.structures import Boxes, Instances

BOX = np.array([20.0, 10.0, 60.0, 90.0])


def some_data(points=50, seed=0):
    rng = np.random.default_rng(seed)
    annotation = {
        "dp_x": rng.uniform(0, 256, points).tolist(),
        "dp_y": rng.uniform(0, 256, points).tolist(),
        "dp_I": rng.integers(1, 25, points).astype(float).tolist(),
        "dp_U": rng.uniform(0, 1, points).tolist(),
        "dp_V": rng.uniform(0, 1, points).tolist(),
        "dp_vertex": rng.integers(0, 30, points).tolist(),
        "ref_model": "cat_5001",
        "dp_masks": torch.from_numpy(rng.integers(0, 15, (16, 16)).repeat(16, 0).repeat(16, 1)).float(),
    }
    return DensePoseDataRelative(annotation)


def some_symmetries(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return DensePoseTransformData(
        {name: torch.rand(24, 256, 256, generator=generator) for name in ("U_transforms", "V_transforms")}
    )


def in_pixels(data, box):
    scale = torch.tensor(box[2:] - box[:2]) / 256
    return torch.stack((data.x, data.y), 1) * scale + torch.tensor(box[:2])


@pytest.mark.parametrize("scale", [1, 2])
def test_mirrored_as_the_rules_say(scale):
    """Written out point by point."""
    data, symmetries, partner = some_data(), some_symmetries(), torch.randperm(30)
    steps = TransformList([ResizeTransform(100, 120, 100 * scale, 120 * scale), HFlipTransform(120 * scale)])
    box = BOX[[0, 1, 2, 3]] * scale
    after = np.array([120 * scale - box[2], box[1], 120 * scale - box[0], box[3]])
    moved = transform_densepose(data, steps, BOX, after, symmetries=symmetries, mesh_symmetries={2: partner})
    torch.testing.assert_close(moved.x, 256 - data.x, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved.y, data.y, atol=1e-4, rtol=0)
    for k in range(len(data.x)):
        i, row, column = int(data.i[k]), int(data.v[k] * 255), int(data.u[k] * 255)
        assert moved.i[k] == symmetries.POINT_LABEL_SYMMETRIES[i]
        assert moved.u[k] == symmetries.uv_symmetries["U_transforms"][i - 1, row, column]
        assert moved.v[k] == symmetries.uv_symmetries["V_transforms"][i - 1, row, column]
        assert moved.vertex_ids[k] == partner[data.vertex_ids[k]]
    labels = torch.tensor(symmetries.MASK_LABEL_SYMMETRIES, dtype=torch.float32)
    assert torch.equal(moved.segm, labels[data.segm.flip(1).long()])


def test_nothing_changes_without_a_mirror():
    data = some_data()
    steps = TransformList(
        [
            ResizeTransform(100, 120, 250, 180),
            HFlipTransform(180),
            BlendTransform(0.0, 0.5, 0.5),
            HFlipTransform(180),
        ]
    )
    after = BOX * [1.5, 2.5, 1.5, 2.5]
    moved = transform_densepose(data, steps, BOX, after)
    torch.testing.assert_close(moved.x, data.x, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved.y, data.y, atol=1e-4, rtol=0)
    for key in ("i", "u", "v", "vertex_ids", "segm"):
        assert torch.equal(getattr(moved, key), getattr(data, key))


@pytest.mark.parametrize(
    "step",
    [
        RotationTransform(100, 120, 30, expand=False),
        RotationTransform(100, 120, -75, expand=True),
        CropTransform(30, 20, 40, 60, 120, 100),
        PadTransform(5, 6, 7, 8, 120, 100),
        TransformList([VFlipTransform(100), RotationTransform(100, 120, 180)]),
    ],
    ids=["rotated", "rotated and enlarged", "cropped", "padded", "upside down, turned"],
)
def test_points_stay_on_their_pixels(step):
    """Where a point is in the image after, and what the mask says there."""
    data, symmetries, partner = some_data(200), some_symmetries(), torch.arange(30)
    size = step.apply_image(np.zeros((100, 120, 1), np.uint8)).shape
    after = np.clip(step.apply_box(BOX[None])[0], 0, [size[1], size[0], size[1], size[0]])
    moved = transform_densepose(data, step, BOX, after, symmetries=symmetries, mesh_symmetries={2: partner})
    expected = step.apply_coords(in_pixels(data, BOX).double().numpy())
    inside = ((expected >= after[:2]) & (expected <= after[2:])).all(axis=1)
    np.testing.assert_allclose(in_pixels(moved, after).numpy(), expected[inside], atol=1e-3)
    assert 0 < len(moved.x) == inside.sum()
    mirrored = isinstance(step, TransformList)
    assert torch.equal(
        moved.i, symmetries.mirror_points(data.i, data.u, data.v)[0][inside] if mirrored else data.i[inside]
    )
    before = data.segm[(data.y[inside].clamp(max=255)).long(), data.x[inside].clamp(max=255).long()]
    now = moved.segm[moved.y.clamp(max=255).long(), moved.x.clamp(max=255).long()]
    same = now == (symmetries.mirror_masks(before) if mirrored else before)
    assert same.float().mean() > 0.85  # but for the borders of the blocks


def test_a_mirrored_figure_is_annotated_like_its_mirror_image(tmp_path):
    """The symmetry of the generated surface, against what is drawn."""
    make_surface_files(tmp_path)
    symmetries, surface = (
        DensePoseTransformData.load(tmp_path / "UV_symmetry_transforms.mat"),
        build_surface(),
    )
    _, seen = draw_figures(np.random.default_rng(3), 96, 1)
    part, u, v = (torch.from_numpy(each[seen.figure == 0]) for each in (seen.part, seen.u, seen.v))
    i, new_u, new_v = symmetries.mirror_points(part, u.float(), v.float())
    vertices = surface.mirror[surface.closest(part.numpy(), u.numpy(), v.numpy())]
    direct = surface.closest(i.numpy(), new_u.numpy(), new_v.numpy())
    away = surface.distances[vertices, direct]
    assert (away == 0).mean() > 0.9  # but where two vertices are equally near
    assert away.max() < 0.15
    coarse = torch.from_numpy(coarse_label(part.numpy()))
    assert torch.equal(symmetries.mirror_masks(coarse), torch.from_numpy(coarse_label(i.numpy())))


def test_what_is_refused(tmp_path):
    data, flip = some_data(), HFlipTransform(120)
    after = np.array([60.0, 10.0, 100.0, 90.0])
    with pytest.raises(ValueError, match="symmetry_file="):
        transform_densepose(data, flip, BOX, after)
    with pytest.raises(ValueError, match="which vertices of mesh 2 swap: give the mapper meshes="):
        transform_densepose(data, flip, BOX, after, symmetries=some_symmetries())

    on_mesh = data.replace(i=None, u=None, v=None)
    moved = transform_densepose(on_mesh, flip, BOX, after, mesh_symmetries={2: torch.arange(30)})
    assert torch.equal(moved.segm, DensePoseTransformData.mirror_masks(data.segm.flip(1)))

    class Bend(NoOpTransform):
        def apply_coords(self, coords):
            return coords**2

    with pytest.raises(ValueError, match="parallel lines must stay parallel"):
        transform_densepose(data, Bend(), BOX, BOX)
    with pytest.raises(FileNotFoundError, match=r"published at https://.*UV_symmetry_transforms.mat: put it"):
        DensePoseTransformData.load(tmp_path / "UV_symmetry_transforms.mat")
    (tmp_path / "x.mat").write_text("no such thing")
    with pytest.raises(DensePoseFileError, match=r"x\.mat is no MATLAB file"):
        DensePoseTransformData.load(tmp_path / "x.mat")


def test_field_of_instances():
    datas = [some_data(seed=0), None, some_data(seed=1)]
    boxes = torch.rand(3, 4)
    instances = Instances(
        (100, 120), gt_boxes=Boxes(boxes), gt_densepose=DensePoseList(datas, boxes, (100, 120))
    )
    chosen = instances[torch.tensor([2, 2, 0])]
    assert list(chosen.gt_densepose) == [datas[2], datas[2], datas[0]]
    assert torch.equal(chosen.gt_densepose.boxes_xyxy_abs, boxes[[2, 2, 0]])
    assert list(instances[[True, True, False]].gt_densepose) == datas[:2]
    assert list(Instances.cat([instances[1], instances[2]]).gt_densepose) == datas[1:]
    assert instances.to("cpu").gt_densepose[0].i.dtype == torch.int64
    with pytest.raises(ValueError, match="expected boxes"):
        DensePoseList(datas, boxes[:2], (100, 120))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dp_x": None}, "no dp_x"),
        ({"dp_I": None, "ref_model": None}, "neither dp_I, dp_U and dp_V nor dp_vertex and ref_model"),
        ({"dp_U": [0.5]}, "dp_u has 1 values for 2 points"),
        ({"ref_model": "unicorn"}, "'unicorn' is not among smpl_27554, chimp_5029"),
        ({"dp_masks": [[]] * 15}, "dp_masks has 15 masks"),
        ({"dp_masks": [{"size": [2, 2], "counts": [4]}]}, r"mask 1 is of \(2, 2\), expected \(256, 256\)"),
    ],
)
def test_annotations_that_cannot_be_read(change, reason):
    good = {"dp_x": [1, 2], "dp_y": [3, 4], "dp_I": [1, 2], "dp_U": [0, 1], "dp_V": [0, 1]}
    good |= {"dp_vertex": [5, 6], "ref_model": "cat_5001"}
    assert DensePoseDataRelative(good).mesh_id == 2
    with pytest.raises(ValueError, match=reason):
        DensePoseDataRelative(good | change)
