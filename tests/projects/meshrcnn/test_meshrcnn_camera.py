"""Camera geometry of Mesh R-CNN against projection and a homography that is solved for, and the renderer."""

import numpy as np
import pytest
import torch

from lazycfg.layers import ico_sphere
from lazycfg.projects.meshrcnn import (
    MeshInstances,
    VoxelInstances,
    crop_meshes,
    crop_voxels,
    from_unit_box,
    place_meshes,
    sight_lines,
    to_unit_box,
)
from lazycfg.projects.meshrcnn.render import draw_mesh, render_mesh
from lazycfg.structures import Meshes

K = torch.tensor([[100.0, 60.0, 40.0], [80.0, 60.0, 40.0]])
BOXES = torch.tensor([[10.0, 20.0, 70.0, 65.0], [50.0, 5.0, 90.0, 75.0]])
DEPTHS = torch.tensor([[2.0, 3.5], [1.0, 1.2]])


def homography(source, target):
    """The projective transform (3, 3) that takes four points (4, 2) to four others, by the null space of the
    direct linear transform."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, -u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, -v])
    return np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)


def test_the_transform_is_the_one_that_four_corners_determine():
    points = torch.rand(2, 50, 3, dtype=torch.float64) * torch.tensor([2, 2, 1.0]) + torch.tensor(
        [-1, -1, 1.5]
    )
    lines, depths = sight_lines(BOXES, K).double(), DEPTHS.double()
    got = to_unit_box(points, lines[:, None], depths[:, None])
    square = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])
    for r in range(2):
        for axis in (0, 1):
            low, high = lines[r, 2 * axis : 2 * axis + 2].tolist()
            near, far = depths[r].tolist()
            corners = [(low * near, near), (high * near, near), (low * far, far), (high * far, far)]
            h = homography(corners, square)
            own = np.concatenate((points[r][:, [axis, 2]], np.ones((50, 1))), axis=1) @ h.T
            np.testing.assert_allclose(got[r][:, axis], own[:, 0] / own[:, 2], rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(got[r][:, 2], own[:, 1] / own[:, 2], rtol=1e-6, atol=1e-8)


def test_forth_and_back():
    points = torch.rand(2, 30, 3, dtype=torch.float64) + torch.tensor([-0.5, -0.5, 1.5])
    args = sight_lines(BOXES, K).double()[:, None], DEPTHS.double()[:, None]
    torch.testing.assert_close(from_unit_box(to_unit_box(points, *args), *args), points)
    args = tuple(a.clone().requires_grad_() for a in args)
    assert torch.autograd.gradcheck(from_unit_box, (points.clamp(-0.5, 0.5).requires_grad_(), *args))


def test_meshes_are_seen_in_their_box_where_they_are():
    spheres = ico_sphere(2).scale_verts(0.3).offset_verts(torch.tensor([0.1, -0.05, 2.5])).extend(2)
    cropped = crop_meshes(spheres, BOXES, K)
    for i in range(2):
        x, y, z = spheres.verts_list()[i].unbind(1)
        focal, px, py = K[i].tolist()
        x0, y0, x1, y1 = BOXES[i].tolist()
        # columns count from the left, and the reference mirrors them as whole numbers: w - 1 - x
        column, line = px - 1 - focal * x / z, py - 1 - focal * y / z
        expected = torch.stack((2 * (column - x0) / (x1 - x0) - 1, 2 * (line - y0) / (y1 - y0) - 1), dim=1)
        torch.testing.assert_close(cropped.verts_list()[i][:, :2], expected, rtol=1e-4, atol=1e-5)
        depth = cropped.verts_list()[i][:, 2]
        assert (depth.min().item(), depth.max().item()) == pytest.approx((-1, 1), abs=1e-4)
        assert depth.argsort()[0] == z.argsort()[0]
    depths = spheres.get_bounding_boxes()[:, 2]
    torch.testing.assert_close(place_meshes(cropped, BOXES, K, depths).verts_packed(), spheres.verts_packed())


def naive_crop(points, box, K, side):
    """One point after another, as the facts say it."""
    focal, px, py = K
    w, h = 2 * px, 2 * py
    x_range = [w - 1 - box[2] - px, w - 1 - box[0] - px]
    y_range = [h - 1 - box[3] - py, h - 1 - box[1] - py]
    near, far = points[:, 2].min(), points[:, 2].max()
    grid = np.zeros((side,) * 3, dtype=bool)
    for x, y, z in points:
        u = (2 * x / z * focal - sum(x_range)) / (x_range[1] - x_range[0])
        v = (2 * y / z * focal - sum(y_range)) / (y_range[1] - y_range[0])
        d = (near + far - 2 * near * far / z) / (far - near)
        i, j, k = (int((c + 1) * (side - 1) / 2) for c in (u, v, d))
        if all(0 <= c < side for c in (i, j, k)):
            grid[k, side - 1 - j, side - 1 - i] = True
    return grid


def test_voxels_are_cropped_as_by_a_loop():
    rng = np.random.default_rng(0)
    points = [rng.uniform(-0.4, 0.4, size=(n, 3)) + np.array([0.1, 0.1, 2.0]) for n in (300, 80)]
    voxels = VoxelInstances([torch.tensor(p) for p in points])
    got = crop_voxels(voxels, BOXES.double(), K.double(), 9)
    for i in range(2):
        np.testing.assert_array_equal(got[i], naive_crop(points[i], BOXES[i].tolist(), K[i].tolist(), 9))
    assert 20 < got[0].sum() < 300
    assert crop_voxels(VoxelInstances([]), BOXES[:0], K[:0], 4).shape == (0, 4, 4, 4)


def test_voxels_and_meshes_agree_about_directions():
    """The upper left corner that is far away: row 0, column 0, last layer; -1, -1 and 1 of the mesh."""
    corner = torch.tensor([[0.5, 0.4, 2.0]])
    box = torch.tensor([[59 - 25.0, 39 - 20.0, 80.0, 60.0]])  # its corner is where (0.5, 0.4, 2) is seen
    others = torch.tensor([[0.0, 0.0, 1.5], [0.1, 0.0, 1.6]])
    grid = crop_voxels(VoxelInstances([torch.cat((corner, others))]), box, K[:1], 8)
    assert grid[0, 7, 0, 0]
    mesh = Meshes([torch.cat((corner, others))], [torch.tensor([[0, 1, 2]])])
    assert crop_meshes(mesh, box, K[:1]).verts_packed()[0].tolist() == pytest.approx([-1, -1, 1], abs=1e-5)


def test_fields_of_shapes_are_indexed_and_moved():
    sphere = ico_sphere(0)
    one = MeshInstances([(sphere.verts_packed(), sphere.faces_packed())])
    many = MeshInstances.cat([one, one])[[0, 1, 1]]
    assert len(many) == 3
    assert next(iter(many))[0] is sphere.verts_packed()
    assert many.meshes().verts_per_mesh == [12] * 3
    assert len(many[torch.tensor([True, False, False])]) == 1
    assert len(many[1:]) == 2
    assert len(many[-1]) == 1
    assert next(iter(many.to(torch.float64)))[0].dtype == torch.float64
    assert len(MeshInstances.from_meshes(sphere.extend(2))) == 2
    points, counts = VoxelInstances([torch.zeros(2, 3), torch.zeros(1, 3)])[np.array([1, 0])].packed()
    assert (len(points), counts) == (3, [1, 2])


def test_renderer_sees_what_a_ray_hits_first():
    """A square at depth 2 before a larger one at depth 4, which is tilted."""
    near = torch.tensor([[-0.5, -0.5, 2.0], [0.5, -0.5, 2], [0.5, 0.5, 2], [-0.5, 0.5, 2]])
    far = torch.tensor([[-1.5, -1.5, 4.0], [1.5, -1.5, 5], [1.5, 1.5, 5], [-1.5, 1.5, 4]])
    behind = torch.tensor([[0.0, 0, -1], [1, 0, -1], [0, 1, -1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7], [8, 9, 10]])
    seen = render_mesh(torch.cat((near, far, behind)), faces, 40.0, (31, 41))
    columns, lines = torch.meshgrid(torch.arange(41) + 0.5, torch.arange(31) + 0.5, indexing="xy")
    x, y = (20.5 - columns) / 40, (15.5 - lines) / 40  # slopes of the rays
    in_near = (x.abs() <= 0.25) & (y.abs() <= 0.25)
    depth = 4.5 / (1 - x / 3)  # where x z is on the plane z = 4.5 + x z / 3
    in_far = ((x * depth).abs() <= 1.5) & ((y * depth).abs() <= 1.5)
    expected = torch.where(in_near, 2.0, depth.where(in_far, float("inf")))
    sides = [(v.abs() - 0.25).abs() for v in (x, y)] + [((v * depth).abs() - 1.5).abs() for v in (x, y)]
    edge = torch.stack(sides).amin(0) < 1e-5
    torch.testing.assert_close(seen.depth[~edge], expected[~edge], rtol=1e-5, atol=1e-5)
    assert torch.equal((seen.face >= 0)[~edge], (in_near | in_far)[~edge])
    assert set(seen.face[in_near].tolist()) <= {0, 1}
    drawn = draw_mesh(np.zeros((31, 41, 3), dtype=np.uint8), torch.cat((near, far)), faces[:4], 40.0)
    assert drawn[15, 20].any()
    assert not drawn[0, 0].any()
    nothing = render_mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), 1.0, (2, 2))
    assert (nothing.face == -1).all()
