"""Operations on meshes against trimesh, scipy, closed forms and plain loops."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import trimesh
from scipy.spatial import cKDTree
from torch.utils._python_dispatch import TorchDispatchMode

from lazycfg.layers import (
    GraphConv,
    SubdivideMeshes,
    chamfer_distance,
    cubify,
    ico_sphere,
    knn_points,
    mesh_edge_loss,
    mesh_laplacian_smoothing,
    mesh_normal_consistency,
    sample_points_from_meshes,
    vert_align,
)
from lazycfg.structures import Meshes


def as_trimesh(meshes, i=0):
    return trimesh.Trimesh(meshes.verts_list()[i].numpy(), meshes.faces_list()[i].numpy(), process=False)


def unit_tetrahedron(dtype=torch.float32):
    verts = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=dtype) / 8**0.5
    return Meshes([verts], [torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])])


def mixed(dtype=torch.float32):
    """A sphere, nothing, and a tetrahedron."""
    empty = Meshes([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.int64)])
    return Meshes.cat([ico_sphere(1), empty, unit_tetrahedron()]).to(dtype)


# ---------------------------------------------------------------- cubify


def naive_cubify(cells):
    """Faces between an occupied cell (z, y, x) and a free one, as sets of corners (x, y, z)."""
    d, h, w = cells.shape
    found = set()
    for z in range(d):
        for y in range(h):
            for x in range(w):
                if not cells[z, y, x]:
                    continue
                for axis, step in ((0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1)):
                    other = [x, y, z]
                    other[axis] += step
                    inside = all(0 <= o < s for o, s in zip(other, (w, h, d), strict=True))
                    if inside and cells[other[2], other[1], other[0]]:
                        continue
                    corners = []
                    for i in (0, 1):
                        for j in (0, 1):
                            corner = [x, y, z]
                            corner[axis] += int(step > 0)
                            a, b = [k for k in range(3) if k != axis]
                            corner[a] += i
                            corner[b] += j
                            corners.append(tuple(corner))
                    found.add(frozenset(corners))
    return found


def test_cubify_of_one_and_of_two_neighbours():
    voxels = torch.zeros(3, 4, 4, 4)
    voxels[0, 1, 2, 3] = 1
    voxels[1, 1, 1, 1:3] = 1
    meshes = cubify(voxels, 0.5)
    assert meshes.verts_per_mesh == [8, 12, 0]
    assert meshes.faces_per_mesh == [12, 20, 0]
    # x = 2 * 3 / 3 - 1 and one cell further; y of 2, z of 1
    low, high = meshes.get_bounding_boxes()[0].unbind(1)
    assert low.tolist() == pytest.approx([1, 1 / 3, -1 / 3])
    assert high.tolist() == pytest.approx([5 / 3, 1, 1 / 3])


def test_cubify_is_the_surface_of_the_cells():
    torch.manual_seed(0)
    cells = torch.rand(2, 3, 4, 5) < 0.4
    meshes = cubify(cells.float(), 0.5)
    for i in range(2):
        size = torch.tensor([5, 4, 3])
        verts = ((meshes.verts_list()[i] + 1) * (size - 1) / 2).round().long()
        quads = verts[meshes.faces_list()[i].view(-1, 6)]  # two triangles a side
        got = [frozenset(map(tuple, q.tolist())) for q in quads]
        assert len(set(got)) == len(got)
        assert set(got) == naive_cubify(cells[i].numpy())
        assert len({tuple(v) for v in verts.tolist()}) == len(verts)
        # faces come in the order of their cells, vertices in that of the grid (y, x, z)
        key = verts[:, 1] * 10000 + verts[:, 0] * 100 + verts[:, 2]
        assert (key.diff() > 0).all()


def test_cubify_of_a_solid_is_watertight_and_has_its_volume():
    voxels = torch.zeros(1, 6, 6, 6)
    voxels[0, 1:5, 1:4, 2:4] = 1
    solid = as_trimesh(cubify(voxels, 0.5))
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert abs(solid.volume) == pytest.approx(4 * 3 * 2 * (2 / 5) ** 3, rel=1e-5)


def test_cubify_alignments():
    voxels = torch.zeros(1, 4, 4, 4)
    voxels[0, 0, 0, 0] = voxels[0, 3, 3, 3] = 1
    bounds = [
        cubify(voxels, 0.5, a).get_bounding_boxes()[0, 0].tolist() for a in ("topleft", "center", "corner")
    ]
    assert bounds == [pytest.approx(b, abs=1e-6) for b in ([-1, 5 / 3], [-4 / 3, 4 / 3], [-1, 1])]
    with pytest.raises(ValueError, match="two cells"):
        cubify(torch.zeros(1, 1, 4, 4), 0.5)
    with pytest.raises(ValueError, match="N, D, H, W"):
        cubify(torch.zeros(4, 4, 4), 0.5)
    assert cubify(torch.zeros(0, 4, 4, 4), 0.5).verts_per_mesh == []


# ---------------------------------------------------------------- features and graphs


def test_vert_align_reads_bilinearly():
    x = torch.linspace(-1, 1, 5).expand(1, 1, 4, 5)
    y = torch.linspace(-1, 1, 4)[:, None].expand(1, 1, 4, 5)
    meshes = ico_sphere(1).scale_verts(0.7)
    read = vert_align([x, y], meshes, return_packed=True)
    torch.testing.assert_close(read, meshes.verts_packed()[:, :2])
    far = torch.tensor([[[3.0, 0, 0]]])
    assert vert_align(x, far).item() == 0
    assert vert_align(x, far, padding_mode="border").item() == 1


def test_vert_align_packs_meshes_of_different_sizes():
    meshes = mixed().scale_verts(0.9)
    maps = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 2, 6, 6)
    packed = vert_align(maps, meshes, return_packed=True)
    assert packed.shape == (46, 2)
    assert packed[:, 0].tolist() == [0] * 42 + [2] * 4
    with pytest.raises(ValueError, match="for each mesh"):
        vert_align(maps[:2], meshes)
    with pytest.raises(ValueError, match="return_packed"):
        vert_align(maps, meshes.verts_padded(), return_packed=True)


def test_graph_conv_sums_over_neighbours():
    torch.manual_seed(0)
    layer = GraphConv(3, 5)
    for p in layer.parameters():
        torch.nn.init.normal_(p)
    edges = torch.tensor([[0, 1], [1, 2], [0, 3]])
    x = torch.randn(5, 3)
    own, other = layer.w0(x), layer.w1(x)
    neighbours = [[1, 3], [0, 2], [1], [0], []]
    expected = torch.stack(
        [own[i] + sum((other[j] for j in n), torch.zeros(5)) for i, n in enumerate(neighbours)]
    )
    torch.testing.assert_close(layer(x, edges), expected)
    assert layer(x[:0], edges[:0]).shape == (0, 5)
    assert set(layer.state_dict()) == {"w0.weight", "w0.bias", "w1.weight", "w1.bias"}
    zero = GraphConv(3, 5, init="zero")
    assert not any(p.any() for p in zero.parameters())
    assert torch.autograd.gradcheck(lambda f: layer.double()(f, edges), x.double().requires_grad_())


def test_subdivision():
    meshes = mixed(torch.float64)
    feats = meshes.verts_packed()[:, :2] * 3
    finer, finer_feats = SubdivideMeshes()(meshes, feats)
    assert finer.verts_per_mesh == [162, 0, 10]
    assert finer.faces_per_mesh == [320, 0, 16]
    torch.testing.assert_close(finer_feats, finer.verts_packed()[:, :2] * 3)
    for i in (0, 2):
        before, after = as_trimesh(meshes, i), as_trimesh(finer, i)
        assert after.is_watertight
        assert after.euler_number == before.euler_number == 2
        assert after.area == pytest.approx(before.area)
        assert after.volume == pytest.approx(before.volume)  # which has a sign: winding is kept
        np.testing.assert_array_equal(finer.verts_list()[i][: len(before.vertices)], meshes.verts_list()[i])
    # old vertices first, then one for each edge in order; faces in four blocks
    one = finer[2]
    edges, of_faces = meshes[2].edges()
    middles = meshes[2].verts_packed()[edges].mean(1)
    torch.testing.assert_close(one.verts_packed()[4:], middles)
    a, b, c = meshes[2].faces_packed().unbind(1)
    bc, ca, ab = (of_faces + 4).unbind(1)
    corners = [torch.stack(t, 1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (bc, ca, ab))]
    assert torch.equal(one.faces_packed(), torch.cat(corners))
    verts = meshes.verts_packed().clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: SubdivideMeshes()(meshes.with_verts(v)).verts_packed(), verts)


def test_spheres():
    for level, count in enumerate((12, 42, 162, 642, 2562)):
        mesh = ico_sphere(level)
        assert (mesh.verts_per_mesh, mesh.faces_per_mesh) == ([count], [20 * 4**level])
    torch.testing.assert_close(mesh.verts_packed().norm(dim=1), torch.ones(2562))
    solid = as_trimesh(mesh)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi, rel=0.01)
    with pytest.raises(ValueError, match="level"):
        ico_sphere(-1)


# ---------------------------------------------------------------- sampling


def test_samples_lie_on_the_surface_evenly():
    box = trimesh.creation.box(extents=(1, 2, 4))
    meshes = Meshes([torch.tensor(box.vertices)], [torch.tensor(np.array(box.faces))])
    points, normals = sample_points_from_meshes(
        meshes, 20000, return_normals=True, generator=torch.Generator().manual_seed(0)
    )
    _, distance, face = trimesh.proximity.closest_point_naive(box, points[0, :500].numpy())
    assert distance.max() < 1e-9
    alike = (normals[0, :500] * torch.tensor(box.face_normals[face])).sum(1)
    assert (alike > 0.999).float().mean() > 0.99  # but for points on an edge of the box
    # shares of the sides across x, y and z are 16 : 8 : 4 of 28
    shares = normals[0].abs().mean(0)
    assert shares.tolist() == pytest.approx([16 / 28, 8 / 28, 4 / 28], abs=0.015)
    for k, side in enumerate((1.0, 2.0, 4.0)):
        assert points[0, :, k].mean().item() == pytest.approx(0, abs=0.03 * side)


def test_samples_of_a_triangle_are_even_in_it():
    triangle = Meshes([torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])], [torch.tensor([[0, 1, 2]])])
    points = sample_points_from_meshes(triangle, 40000, generator=torch.Generator().manual_seed(1))[0]
    assert (points[:, :2].sum(1) <= 1 + 1e-6).all()
    # the four triangles that the midpoints cut have a quarter each
    x, y = points[:, 0], points[:, 1]
    quarters = [(x > 0.5), (y > 0.5), (x + y < 0.5)]
    assert [q.float().mean().item() for q in quarters] == pytest.approx([0.25] * 3, abs=0.01)


def test_samples_of_nothing_and_of_what_is_flat():
    points, normals = sample_points_from_meshes(mixed(), 10, return_normals=True)
    assert points.shape == normals.shape == (3, 10, 3)
    assert not points[1].any()
    assert not normals[1].any()
    assert torch.allclose(normals[[0, 2]].norm(dim=2), torch.ones(2, 10))
    flat = Meshes([torch.ones(3, 3)], [torch.tensor([[0, 1, 2]])])
    assert torch.allclose(sample_points_from_meshes(flat, 5), torch.ones(1, 5, 3))
    with pytest.raises(ValueError, match="none of 1 meshes"):
        sample_points_from_meshes(mixed()[1])
    with pytest.raises(ValueError, match="not finite"):
        sample_points_from_meshes(flat.scale_verts(float("nan")), 5)


def test_gradient_of_samples():
    meshes = mixed(torch.float64)

    def sampled(v):
        generator = torch.Generator().manual_seed(0)
        return sample_points_from_meshes(meshes.with_verts(v), 7, return_normals=True, generator=generator)

    # faces are drawn by area: move the vertices so little that the same ones are drawn
    assert torch.autograd.gradcheck(
        sampled, meshes.verts_packed().clone().requires_grad_(), eps=1e-7, atol=1e-4
    )


# ---------------------------------------------------------------- nearest points


def test_nearest_points_are_those_of_a_tree():
    torch.manual_seed(0)
    # far from the origin, where an expanded square has no digits left
    x, y = torch.randn(3, 200, 3) + 100, torch.randn(3, 170, 3) + 100
    lengths = torch.tensor([170, 3, 90])
    dists, idx = knn_points(x, y, lengths2=lengths, K=3, chunk=1000)
    for n in range(3):
        expected, at = cKDTree(y[n, : lengths[n]]).query(x[n], k=3)
        np.testing.assert_array_equal(idx[n], at)
        np.testing.assert_allclose(dists[n].sqrt(), expected, rtol=1e-5)
    behind = knn_points(x, y, lengths1=torch.tensor([5, 0, 200]), K=1)
    assert not behind.dists[0, 5:].any()
    assert not behind.dists[1].any()
    few = knn_points(x[:, :2], y, lengths2=torch.tensor([2, 2, 2]), K=3)
    assert few.dists[..., 2].isinf().all()
    with pytest.raises(ValueError, match="K=3"):
        knn_points(x, y[:, :2], K=3)
    with pytest.raises(ValueError, match="need"):
        knn_points(x, y[:2])


@pytest.mark.parametrize("chunk", [1, 50, 10**9])
def test_chunks_do_not_change_the_neighbours(chunk):
    torch.manual_seed(0)
    x, y = torch.randn(4, 9, 3), torch.randn(4, 11, 3)
    assert torch.equal(knn_points(x, y, chunk=chunk).idx, torch.cdist(x, y).argmin(2, keepdim=True))


def naive_chamfer(x, y, x_normals, y_normals, weights):
    total = normals = 0.0
    for n in range(len(x)):
        for a, b, an, bn in ((x, y, x_normals, y_normals), (y, x, y_normals, x_normals)):
            for i in range(len(a[n])):
                squares = [float(((a[n][i] - q) ** 2).sum()) for q in b[n]]
                j = int(np.argmin(squares))
                cosine = float(F.cosine_similarity(an[n][i], bn[n][j], dim=0))
                total += float(weights[n]) * squares[j] / len(a[n])
                normals += float(weights[n]) * (1 - abs(cosine)) / len(a[n])
    return total / float(sum(weights)), normals / float(sum(weights))


def test_chamfer_is_that_of_a_loop():
    torch.manual_seed(0)
    sizes = ((7, 9), (5, 4), (6, 6))
    x, xn = [[torch.randn(p, 3) for p, _ in sizes] for _ in range(2)]
    y, yn = [[torch.randn(q, 3) for _, q in sizes] for _ in range(2)]
    weights = torch.tensor([1.0, 0.0, 2.0])

    def pad(values):
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=0.5)

    lengths = torch.tensor(sizes).unbind(1)
    got = chamfer_distance(pad(x), pad(y), *lengths, pad(xn), pad(yn), weights)
    assert [v.item() for v in got] == pytest.approx(naive_chamfer(x, y, xn, yn, weights), rel=1e-5)


def test_chamfer_of_nothing_and_of_the_same():
    x = torch.rand(2, 50, 3, requires_grad=True)
    normals = F.normalize(torch.rand(2, 50, 3), dim=2)
    distance, angle = chamfer_distance(x, x.detach(), x_normals=normals, y_normals=-normals)
    assert distance == 0
    assert angle == pytest.approx(0, abs=1e-6)
    for case in (
        chamfer_distance(x, x.detach() + 1, weights=torch.zeros(2))[0],
        chamfer_distance(x[:0], x[:0])[0],
    ):
        assert case == 0
        assert not torch.autograd.grad(case, x)[0].any()
    assert chamfer_distance(x, x)[1] is None
    with pytest.raises(ValueError, match="both clouds"):
        chamfer_distance(x, x, x_normals=normals)


def test_gradient_of_chamfer():
    torch.manual_seed(0)
    inputs = [torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True) for _ in range(4)]

    def loss(x, y, x_normals, y_normals):
        return chamfer_distance(x, y, x_normals=x_normals, y_normals=y_normals)

    assert torch.autograd.gradcheck(loss, inputs)


class LargestTensor(TorchDispatchMode):
    """Remembers the size in bytes of the largest result of an operation that is no view."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and "expand" not in func.name():
            self.largest = max(self.largest, out.nbytes)
        return out


def test_memory_of_large_clouds_is_bounded():
    """10,000 x 10,000 points: 400 MB of distances at once, of which few are there at a time."""
    torch.manual_seed(0)
    x, y = torch.rand(1, 10000, 3), torch.rand(1, 10000, 3)
    with LargestTensor() as seen:
        distance, _ = chamfer_distance(x, y)
    assert 2**21 < seen.largest <= 2**22  # bytes; two of the largest are alive at a time
    expected = [cKDTree(b[0]).query(a[0])[0] for a, b in ((x, y), (y, x))]
    assert distance.item() == pytest.approx(sum((d**2).mean() for d in expected), rel=1e-4)


# ---------------------------------------------------------------- losses


def test_edge_loss():
    assert mesh_edge_loss(unit_tetrahedron()).item() == pytest.approx(1)
    assert mesh_edge_loss(unit_tetrahedron(), 0.25).item() == pytest.approx(0.75**2)
    meshes = mixed()
    sphere = as_trimesh(meshes).edges_unique_length
    assert mesh_edge_loss(meshes).item() == pytest.approx(((sphere**2).mean() + 0 + 1) / 3, rel=1e-5)
    verts = torch.zeros(3, 3, requires_grad=True)
    for count in (0, 3):
        faces = torch.zeros(0, 3, dtype=torch.int64) if count == 0 else torch.tensor([[0, 1, 2]])
        loss = mesh_edge_loss(Meshes([verts], [faces]))
        assert loss == 0
        assert not torch.autograd.grad(loss, verts)[0].any()


def test_laplacian():
    meshes = mixed()
    solid = as_trimesh(meshes)
    lengths = [
        np.linalg.norm(solid.vertices[own].mean(axis=0) - solid.vertices[i])
        for i, own in enumerate(solid.vertex_neighbors)
    ]
    # the mean of three corners of the tetrahedron is as far from the fourth as it is high
    expected = (np.mean(lengths) + 0 + (2 / 3) ** 0.5) / 3
    assert mesh_laplacian_smoothing(meshes).item() == pytest.approx(expected, rel=1e-5)
    # all angles of it are the same, so weights by cotangents are
    tetrahedron = unit_tetrahedron()
    assert mesh_laplacian_smoothing(tetrahedron, "cot").item() == pytest.approx((2 / 3) ** 0.5, rel=1e-5)
    # the inner vertex of a flat fan stays in place under cotangents, wherever it is
    rim = torch.tensor([[0.0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]])
    centre = torch.tensor([[0.7, 1.1, 0]], requires_grad=True)
    fan = Meshes([torch.cat((rim, centre))], [torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])])
    moved = torch.autograd.grad(mesh_laplacian_smoothing(fan, "cot"), centre)[0]
    assert moved[0, 2] == 0
    with pytest.raises(ValueError, match="method"):
        mesh_laplacian_smoothing(fan, "other")


def test_normal_consistency():
    flat = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    for faces in ([[0, 1, 2], [0, 2, 3]], [[0, 1, 2], [2, 0, 3]], [[0, 1, 2], [3, 2, 0]]):
        assert mesh_normal_consistency(Meshes([flat], [torch.tensor(faces)])).item() == pytest.approx(
            0, abs=1e-6
        )
    box = trimesh.creation.box()
    cube = Meshes([torch.tensor(box.vertices)], [torch.tensor(np.array(box.faces))])
    # 18 edges: 12 of the cube at right angles, 6 diagonals that are flat
    assert mesh_normal_consistency(cube).item() == pytest.approx(12 / 18)
    meshes = mixed()
    angles = as_trimesh(meshes).face_adjacency_angles
    # faces of a tetrahedron meet at cos = -1/3 between their outward normals
    expected = ((1 - np.cos(angles)).mean() + 0 + 4 / 3) / 3
    assert mesh_normal_consistency(meshes).item() == pytest.approx(expected, rel=1e-4)
    # three faces at one edge are three pairs
    fin = torch.cat((flat, torch.tensor([[0.5, 0.5, 1.0]])))
    loss = mesh_normal_consistency(Meshes([fin], [torch.tensor([[0, 1, 2], [0, 2, 3], [0, 2, 4]])]))
    assert loss.item() == pytest.approx((0 + 1 + 1) / 3, abs=1e-6)
    lone = Meshes([flat[:3]], [torch.tensor([[0, 1, 2]])])
    assert mesh_normal_consistency(lone) == 0


@pytest.mark.parametrize("loss", [mesh_edge_loss, mesh_laplacian_smoothing, mesh_normal_consistency])
def test_gradients_of_losses(loss):
    meshes = mixed(torch.float64)
    torch.manual_seed(0)
    verts = (meshes.verts_packed() + torch.randn(46, 3, dtype=torch.float64) * 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(meshes.with_verts(v)), verts)
    empty = mixed()[1]
    assert loss(empty) == 0
