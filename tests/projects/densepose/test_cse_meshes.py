"""Files of meshes, embeddings of their vertices, and how well those of different meshes lie on each other."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lazycfg.checkpoint import WeightsMismatchError, load_weights
from lazycfg.layers import ico_sphere
from lazycfg.projects.densepose.cse.embedders import Embedder, VertexDirectEmbedder, VertexFeatureEmbedder
from lazycfg.projects.densepose.cse.mesh import FILES, Mesh, PublishedMesh
from lazycfg.projects.densepose.evaluation.mesh_alignment import MeshAlignmentEvaluator
from lazycfg.structures import MeshFileError, save_obj


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The files of a sphere, as they are published."""
    sphere = ico_sphere(1)
    verts, faces = sphere.verts_packed().numpy(), sphere.faces_packed().numpy()
    mirror = ((verts * [-1, 1, 1])[:, None] - verts).__pow__(2).sum(2).argmin(1)
    content = {
        "geometry": {"vertices": verts, "faces": faces},
        "geodists": np.arccos((verts @ verts.T).clip(-1, 1)),
        "symmetry": {"vertex_transforms": mirror},
        "texcoords": (verts[:, :2] + 1) / 2,
    }
    for kind, pattern in FILES.items():
        path = tmp_path / pattern.format(name="cow_5002")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content[kind]))
    return tmp_path


def test_files_as_published(root: Path) -> None:
    mesh = PublishedMesh(name="cow_5002", root=root)
    verts = mesh.read_vertices()
    assert verts.shape == (42, 3)
    assert len(mesh.read_meshes().faces_packed()) == 80
    distances = mesh.read_geodists()
    assert distances.dtype == torch.float32
    assert torch.allclose(distances, distances.t(), atol=1e-6)
    mirror = mesh.read_symmetry()
    assert torch.equal(mirror[mirror], torch.arange(42))
    assert torch.allclose(verts[mirror] * torch.tensor([-1.0, 1, 1]), verts, atol=1e-6)
    assert mesh.read_texcoords().shape == (42, 2)


def test_tensors_and_other_formats(root: Path) -> None:
    sphere = PublishedMesh(name="cow_5002", root=root).read_meshes()
    save_obj(root / "sphere.obj", sphere.verts_packed(), sphere.faces_packed())
    np.save(root / "distances.npy", np.eye(42))
    mesh = Mesh(name="sphere", geometry=root / "sphere.obj", geodists=root / "distances.npy")
    assert torch.allclose(mesh.read_vertices(), sphere.verts_packed(), atol=1e-5)
    assert torch.equal(mesh.read_geodists(), torch.eye(42))
    given = Mesh(
        name="given", vertices=sphere.verts_packed(), faces=sphere.faces_packed(), geodists=torch.eye(42)
    )
    assert len(given.read_meshes()) == 1
    assert torch.equal(given.read_geodists(), torch.eye(42))


def test_a_missing_file_is_named_with_where_it_is_published(root: Path) -> None:
    path = root / "geodists" / "geodists_cow_5002.pkl"
    path.unlink()
    with pytest.raises(FileNotFoundError) as error:
        PublishedMesh(name="cow_5002", root=root).read_geodists()
    assert str(path) in str(error.value)
    assert "https://dl.fbaipublicfiles.com/densepose/meshes/geodists/geodists_cow_5002.pkl" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("mesh", "method", "message"),
    [
        (Mesh(name="m"), "read_geodists", r"no geodists .*Mesh\(name='m', geodists=<path>\)"),
        (Mesh(name="m"), "read_meshes", "no geometry"),
        (Mesh(name="m", geodists=torch.zeros(3, 4)), "read_geodists", r"must be \(V, V\)"),
        (Mesh(name="m", symmetry=torch.tensor([0, 3])), "read_symmetry", "0 to 1, got 0 to 3"),
        (Mesh(name="m", texcoords=torch.zeros(3)), "read_texcoords", r"of shape \(V, 2\), got \(3,\)"),
    ],
)
def test_what_is_wrong_with_a_mesh_is_said(mesh: Mesh, method: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(mesh, method)()


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"vertices": np.zeros((2, 3))}), "a dict with 'faces', got a dict with"),
        (pickle.dumps({"vertices": np.zeros((2, 3)), "faces": np.full((1, 3), 2)}), "name vertices 2 to 2"),
        (pickle.dumps([1, 2]), "got list"),
        (b"no pickle", "cannot be read"),
        (pickle.dumps(Evil()), "cannot be read"),
    ],
)
def test_files_that_are_no_mesh(content: bytes, message: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    with pytest.raises(MeshFileError, match=message) as error:
        Mesh(name="m", geometry=path).read_meshes()
    assert str(path) in str(error.value)
    assert "executed" not in capsys.readouterr().out


# ---------------------------------------------------------------------- embedders


def test_embedders_give_vectors_of_length_one() -> None:
    torch.manual_seed(0)
    embedder = Embedder(
        embedders={
            "cow_5002": VertexFeatureEmbedder(num_vertices=9, feature_dim=4, embed_dim=3),
            "cat_5001": VertexDirectEmbedder(num_vertices=7, embed_dim=3),
        }
    )
    assert embedder.mesh_names == ("cat_5001", "cow_5002")
    assert embedder.mesh_ids == {"cat_5001": 2, "cow_5002": 11}
    assert (embedder.embed_dim, embedder.num_vertices("cow_5002")) == (3, 9)
    part = embedder.embedder_cow_5002
    assert torch.allclose(embedder("cow_5002"), F.normalize(part.features @ part.embeddings, dim=1))
    assert torch.allclose(embedder("cat_5001").norm(dim=1), torch.ones(7))
    with torch.no_grad():
        part.features[3] = 0
    assert torch.equal(embedder("cow_5002")[3], torch.zeros(3))
    assert {name: p.requires_grad for name, p in embedder.named_parameters()} == {
        "embedder_cow_5002.embeddings": True,
        "embedder_cat_5001.embeddings": True,
    }
    assert "embedder_cow_5002.features" in embedder.state_dict()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert embedder("cow_5002").dtype == torch.float32


def test_what_is_trained() -> None:
    def trained(**kwargs: bool) -> list[str]:
        embedder = VertexFeatureEmbedder(num_vertices=9, feature_dim=4, embed_dim=3, **kwargs)
        return [name for name, p in embedder.named_parameters() if p.requires_grad]

    assert trained(features_trainable=True) == ["features", "embeddings"]
    assert trained() == ["embeddings"]
    assert trained(features_trainable=True, is_trainable=False) == []


def test_initial_values_from_a_file(tmp_path: Path) -> None:
    content = {
        "features": np.random.default_rng(0).normal(size=(9, 4)),
        "embeddings": np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32),
    }
    path = tmp_path / "phi_cow_9.pkl"
    path.write_bytes(pickle.dumps(content))
    arguments = {"num_vertices": 9, "feature_dim": 4, "embed_dim": 3}
    embedder = VertexFeatureEmbedder(**arguments, init_file=path)
    assert np.allclose(embedder.features, content["features"])
    assert np.allclose(embedder.embeddings.detach(), content["embeddings"])
    with pytest.raises(ValueError, match=r"phi_cow_9.pkl: .* 'features' \(8, 4\), got an array \(9, 4\)"):
        VertexFeatureEmbedder(**{**arguments, "num_vertices": 8}, init_file=path)
    with torch.device("meta"):
        assert VertexFeatureEmbedder(**arguments, init_file="nowhere.pkl")().is_meta


def test_without_the_file_nothing_is_computed_until_a_checkpoint_is_loaded(tmp_path: Path) -> None:
    arguments = {"num_vertices": 9, "feature_dim": 4, "embed_dim": 3}
    embedder = VertexFeatureEmbedder(**arguments, init_file=tmp_path / "phi_cow_5002_256.pkl")
    with pytest.raises(FileNotFoundError, match=r"cse/lbo/phi_cow_5002_256\.pkl"):
        copy.deepcopy(embedder)()
    other = VertexFeatureEmbedder(**arguments)
    embedder.load_state_dict(other.state_dict())
    assert torch.equal(embedder(), other())


def test_weights_of_people_begin_those_of_animals() -> None:
    """As the configs that begin with a published model of people do: its mesh is left out."""

    def heads(name: str, vertices: int) -> nn.Module:
        embedder = VertexFeatureEmbedder(num_vertices=vertices, feature_dim=4, embed_dim=3)
        return nn.ModuleDict({"embedder": Embedder(embedders={name: embedder}), "rest": nn.Linear(2, 2)})

    people, animals = heads("smpl_27554", 9), heads("chimp_5029", 8)
    before = animals["embedder"]("chimp_5029").clone()
    load_weights(animals, people.state_dict(), ignore=["embedder.*"])
    assert torch.equal(animals["embedder"]("chimp_5029"), before)
    assert torch.equal(animals["rest"].weight, people["rest"].weight)
    with pytest.raises(WeightsMismatchError, match="embedder_chimp_5029"):
        load_weights(animals, people.state_dict())


def test_embedders_that_do_not_fit() -> None:
    direct = VertexDirectEmbedder(num_vertices=7, embed_dim=3)
    with pytest.raises(ValueError, match="unicorn"):
        Embedder(embedders={"unicorn": direct})
    with pytest.raises(ValueError, match="embed_dim"):
        Embedder(
            embedders={"cow_5002": direct, "cat_5001": VertexDirectEmbedder(num_vertices=7, embed_dim=2)}
        )
    embedder = Embedder(embedders={"unicorn": direct}, mesh_names=("unicorn",))
    assert embedder.mesh_ids == {"unicorn": 0}
    with pytest.raises(KeyError, match="cow_5002"):
        embedder("cow_5002")


def test_the_mesh_of_a_class() -> None:
    parts = {name: VertexDirectEmbedder(num_vertices=7, embed_dim=3) for name in ("cow_5002", "cat_5001")}
    embedder = Embedder(embedders=parts, class_to_mesh_name={"0": "cow_5002", 1: "cat_5001"})
    assert embedder.mesh_names_of([1, 0, 1]) == ["cat_5001", "cow_5002", "cat_5001"]
    assert embedder.mesh_names_of([]) == []
    with pytest.raises(ValueError, match=r"classes \[2\]"):
        embedder.mesh_names_of([2, 0])
    with pytest.raises(ValueError, match="class_to_mesh_name is None"):
        Embedder(embedders=parts).mesh_names_of([0])
    with pytest.raises(ValueError, match=r"names \['bear_4936'\]"):
        Embedder(embedders=parts, class_to_mesh_name={0: "bear_4936"})
    one = Embedder(embedders={"cow_5002": parts["cow_5002"]})
    assert one.mesh_names_of([3, 0]) == ["cow_5002"] * 2


# ---------------------------------------------------------------------- alignment


def circle(count: int, name: str) -> Mesh:
    """A ring of vertices, whose distances are steps from 0 to 0.5 of the way around."""
    steps = (torch.arange(count)[:, None] - torch.arange(count)).abs()
    return Mesh(name=name, geodists=torch.minimum(steps, count - steps) / count)


def ring_embedder(sizes: dict[str, int], shifts: dict[str, float]) -> Embedder:
    embedder = Embedder(
        embedders={name: VertexDirectEmbedder(num_vertices=n, embed_dim=2) for name, n in sizes.items()}
    )
    with torch.no_grad():
        for name, count in sizes.items():
            angle = 2 * torch.pi * (torch.arange(count) / count + shifts.get(name, 0))
            points = torch.stack((angle.cos(), angle.sin()), dim=1)
            embedder.get_submodule(f"embedder_{name}").embeddings.copy_(points)
    return embedder


SIZES = {"cow_5002": 16, "cat_5001": 8, "bear_4936": 32}
KEYS = {name: {"nose": 0, "tail": n // 2, "left": n // 4} for name, n in SIZES.items()}


def test_mesh_alignment(tmp_path: Path) -> None:
    meshes = {name: circle(n, name) for name, n in SIZES.items()}
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    arguments = {"meshes": meshes, "keyvertices": tmp_path / "keys.json"}
    results = MeshAlignmentEvaluator(embedder=ring_embedder(SIZES, {}), **arguments).evaluate()
    results = results["densepose_cse_mesh_alignment"]
    assert set(results) == {"GE", "GPS", *(f"{k}-{name}" for k in ("GE", "GPS") for name in SIZES)}
    assert (results["GE"], results["GPS"]) == pytest.approx((0, 100))
    # one mesh lies a quarter of the way off: both ways to it
    turned = ring_embedder(SIZES, {"cow_5002": 0.25})
    results = MeshAlignmentEvaluator(embedder=turned, **arguments).evaluate()["densepose_cse_mesh_alignment"]
    gps = 100 * np.exp(-(0.25**2) / (2 * 0.255**2))
    assert results["GE-cow_5002"] == pytest.approx(25)
    assert results["GE-cat_5001"] == results["GE-bear_4936"] == pytest.approx(12.5)
    assert results["GE"] == pytest.approx(50 / 3)
    assert results["GPS-cow_5002"] == pytest.approx(gps)
    assert results["GPS-cat_5001"] == pytest.approx((gps + 100) / 2)
    pair = MeshAlignmentEvaluator(embedder=turned, mesh_names=["cat_5001", "bear_4936"], **arguments)
    assert pair.evaluate()["densepose_cse_mesh_alignment"]["GE"] == 0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({**KEYS, "cow_5002": {"nose": 0}}, r"'cow_5002' lacks .*\['left', 'tail'\]"),
        ({**KEYS, "cow_5002": {**KEYS["cow_5002"], "nose": 16}}, "16 vertices, but a named one is number 16"),
        ({"cow_5002": {"nose": 0}}, "has no named vertices"),
    ],
)
def test_named_vertices_that_do_not_fit(keys: dict, message: str) -> None:
    meshes = {name: circle(n, name) for name, n in SIZES.items()}
    evaluator = MeshAlignmentEvaluator(embedder=ring_embedder(SIZES, {}), meshes=meshes, keyvertices=keys)
    with pytest.raises(ValueError, match=message):
        evaluator.evaluate()


def test_files_of_named_vertices(tmp_path: Path) -> None:
    meshes = {name: circle(n, name) for name, n in SIZES.items()}
    path = tmp_path / "keys.json"
    evaluator = MeshAlignmentEvaluator(embedder=ring_embedder(SIZES, {}), meshes=meshes, keyvertices=path)
    with pytest.raises(FileNotFoundError, match=r"data/cse/mesh_keyvertices_v0\.json"):
        evaluator.evaluate()
    path.write_text('{"cow_5002": {"nose": -1}}')
    with pytest.raises(ValueError, match=r"keys\.json: expected"):
        evaluator.evaluate()
    with pytest.raises(ValueError, match="meshes has"):
        MeshAlignmentEvaluator(embedder=ring_embedder(SIZES, {}), meshes={}, keyvertices=path)
