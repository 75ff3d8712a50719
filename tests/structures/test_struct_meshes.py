"""Meshes: views, selection, edges; and files of them."""

import numpy as np
import pytest
import torch
import trimesh

from lazycfg.structures import Instances, Meshes, MeshFileError, load_obj, save_obj


def three():
    """A tetrahedron, no faces at all, and a square of two triangles."""
    tetrahedron = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    square = torch.tensor([[0.0, 0, 2], [1, 0, 2], [1, 1, 2], [0, 1, 2]])
    faces = [
        torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
        torch.zeros(0, 3, dtype=torch.int32),
        torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32),
    ]
    return Meshes([tetrahedron, torch.zeros(0, 3), square], faces)


def test_views_agree():
    m = three()
    assert (len(m), m.verts_per_mesh, m.faces_per_mesh) == (3, [4, 0, 4], [4, 0, 2])
    assert m.valid.tolist() == [True, False, True]
    assert m.faces_packed()[4:].tolist() == [[4, 5, 6], [4, 6, 7]]
    assert m.faces_list()[2].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert m.verts_padded().shape == (3, 4, 3)
    assert not m.verts_padded()[1].any()
    assert torch.equal(m.pack_verts(m.verts_padded()), m.verts_packed())
    assert m.faces_padded()[2].tolist() == [[0, 1, 2], [0, 2, 3], [-1, -1, -1], [-1, -1, -1]]
    assert m.verts_packed_to_mesh_idx().tolist() == [0] * 4 + [2] * 4
    assert m.faces_packed_to_mesh_idx().tolist() == [0] * 4 + [2] * 2
    assert m.mesh_to_verts_packed_first_idx().tolist() == [0, 4, 4]
    boxes = m.get_bounding_boxes()
    assert boxes[0].tolist() == [[0, 1]] * 3
    assert boxes[1].isinf().all()
    assert boxes[2].tolist() == [[0, 1], [0, 1], [2, 2]]


def test_edges_are_each_there_once_and_in_the_order_of_the_corners_they_face():
    m = three()
    edges, of_faces = m.edges()
    assert edges.tolist() == [
        [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3], [4, 5], [4, 6], [4, 7], [5, 6], [6, 7],
    ]  # fmt: skip
    for face, own in zip(m.faces_packed().tolist(), of_faces.tolist(), strict=True):
        a, b, c = face
        assert [edges[e].tolist() for e in own] == [sorted(e) for e in ((b, c), (c, a), (a, b))]


@pytest.mark.parametrize(
    ("item", "rows"),
    [
        (0, [0]),
        (-1, [2]),
        (slice(1, None), [1, 2]),
        ([2, 0, 0], [2, 0, 0]),
        ([True, False, True], [0, 2]),
        (np.array([1, 2]), [1, 2]),
        (torch.tensor([False, True, True]), [1, 2]),
        ([], []),
        (torch.tensor([2]), [2]),
    ],
)
def test_selection_is_that_of_a_list(item, rows):
    m = three()
    verts, faces = m.verts_list(), m.faces_list()
    picked = m[item]
    assert len(picked) == len(rows)
    for i, row in enumerate(rows):
        assert torch.equal(picked.verts_list()[i], verts[row])
        assert torch.equal(picked.faces_list()[i], faces[row])


def test_selection_refuses_what_does_not_fit():
    for item in (3, -4, [True, False], 1.5, [[0]]):
        with pytest.raises((IndexError, TypeError)):
            three()[item]


def test_joining_and_cutting_undo_each_other():
    m = three()
    again = Meshes.cat(m.split([1, 2]))
    assert torch.equal(again.faces_packed(), m.faces_packed())
    assert again.verts_per_mesh == m.verts_per_mesh
    assert m.extend(2).verts_per_mesh == [4, 4, 0, 0, 4, 4]
    with pytest.raises(ValueError, match="sizes"):
        m.split([1, 1])


def test_moving_and_scaling_return_new_meshes():
    m = three()
    moved = m.offset_verts(torch.ones(3))
    assert torch.equal(moved.verts_packed(), m.verts_packed() + 1)
    scaled = m.scale_verts(torch.tensor([2.0, 1.0, 3.0]))
    assert scaled.verts_packed().amax(0).tolist() == [3, 3, 6]
    assert m.verts_packed().max() == 2
    with pytest.raises(ValueError, match="need"):
        m.with_verts(torch.zeros(3, 3))


def test_areas_and_normals_are_those_of_trimesh():
    m = three()
    for i in (0, 2):
        one, other = m[i], trimesh.Trimesh(m.verts_list()[i], m.faces_list()[i], process=False)
        np.testing.assert_allclose(one.face_areas(), other.area_faces, rtol=1e-6)
        unit = torch.nn.functional.normalize(one.face_normals(), dim=1)
        np.testing.assert_allclose(unit, other.face_normals, atol=1e-6)
    expected = trimesh.creation.icosphere(subdivisions=1)
    sphere = Meshes([torch.tensor(expected.vertices)], [torch.tensor(np.array(expected.faces))])
    assert (sphere.vertex_normals() * sphere.verts_packed()).sum(1).min() > 0.99


def test_nothing_at_all():
    nothing = Meshes([], [])
    assert len(nothing) == 0
    assert nothing.isempty()
    assert nothing.verts_padded().shape == (0, 0, 3)
    assert nothing.edges()[0].shape == (0, 2)
    assert len(three()[[]]) == 0
    assert Meshes.cat([nothing, three()]).verts_per_mesh == [4, 0, 4]


def test_what_is_no_mesh_is_refused():
    verts, faces = torch.zeros(3, 3), torch.tensor([[0, 1, 2]])
    for bad in ((verts[:, :2], faces), (verts, faces.float()), (verts, faces[:, :2]), (verts.long(), faces)):
        with pytest.raises(ValueError, match="mesh 0"):
            Meshes([bad[0]], [bad[1]])
    with pytest.raises(ValueError, match="vertices 0 to 3, and it has 3"):
        Meshes([verts], [torch.tensor([[0, 1, 3]])])
    with pytest.raises(ValueError, match="3 vertices and 1 faces"):
        Meshes.from_packed(verts, faces, [2], [1])


def test_they_are_a_field_of_instances_and_can_live_on_the_meta_device():
    x = Instances((10, 10), pred_meshes=three(), scores=torch.tensor([0.3, 0.2, 0.9]))
    best = x[x.scores > 0.25]
    assert best.pred_meshes.faces_per_mesh == [4, 2]
    assert Instances.cat([x, best]).pred_meshes.faces_per_mesh == [4, 0, 2, 4, 2]
    assert x.to("meta").pred_meshes.verts_padded().device.type == "meta"
    assert x.to(torch.float64).pred_meshes.verts_packed().dtype == torch.float64


def test_files_keep_every_bit(tmp_path):
    torch.manual_seed(0)
    verts, faces = torch.randn(50, 3) * 1e-3, torch.randint(0, 50, (80, 3))
    save_obj(tmp_path / "a.obj", verts, faces)
    again = load_obj(tmp_path / "a.obj")
    assert torch.equal(again[0], verts)
    assert torch.equal(again[1], faces)
    other = trimesh.load(tmp_path / "a.obj", process=False)
    np.testing.assert_allclose(np.sort(other.vertices, axis=0)[:5], np.sort(verts, axis=0)[:5], rtol=1e-6)
    save_obj(tmp_path / "empty.obj", torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    assert [len(x) for x in load_obj(tmp_path / "empty.obj")] == [0, 0]


def test_files_of_others_are_read(tmp_path):
    text = (
        "# a comment\nmtllib x.mtl\no thing\nv 0 0 0 1 0 0\n  v\t1 0 0\nvn 0 0 1\nvt 0 0\n"
        "v 1 1 \\\n 0\nv 0 1 0\r\nf 1/1/1 2//1 3/1 4\nf -4 -3 -2\nv 9 9 9\nf 5 1 -1\n"
    )
    (tmp_path / "b.obj").write_bytes(text.encode())
    verts, faces = load_obj(tmp_path / "b.obj")
    assert verts[1:4].tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2], [4, 0, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0\n", ":1: a vertex needs three numbers"),
        ("v 0 0 x\n", "no numbers"),
        ("v 0 0 0\nv 0 nan 0\n", ":2: a vertex must be finite"),
        ("v 0 0 0\nf 1 1\n", ":2: a face needs three corners"),
        ("v 0 0 0\nf 1 1 2\n", ":2: .* that is not there; it has 1"),
        ("v 0 0 0\nf 0 1 1\n", ":2: "),
        ("v 0 0 0\nf 1 1 -2\n", ":2: "),
        ("v 0 0 0\nf 1 b 1\n", "no whole numbers"),
    ],
)
def test_files_that_are_no_mesh_are_named_with_the_line(tmp_path, text, message):
    (tmp_path / "bad.obj").write_text(text)
    with pytest.raises(MeshFileError, match=f"bad.obj.*{message}"):
        load_obj(tmp_path / "bad.obj")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_obj(tmp_path / "none.obj")
