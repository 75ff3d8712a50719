"""The models of single objects: geometry, keys, losses, data, evaluation, training from the configs."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lazycfg import LazyConfig, check, instantiate
from lazycfg.data import AnnotationError
from lazycfg.engine import train
from lazycfg.layers import ShapeSpec, ico_sphere
from lazycfg.projects import meshrcnn
from lazycfg.projects.meshrcnn import MeshLoss, ShapeNetDataset, ShapeNetEvaluator, ShapeNetMapper
from lazycfg.projects.meshrcnn.make_views import make_views
from lazycfg.projects.meshrcnn.render import render_mesh
from lazycfg.projects.meshrcnn.shapenet_data import draw_voxels
from lazycfg.projects.meshrcnn.shapenet_models import (
    INTRINSICS,
    project,
    tetrahedra,
    voxel_to_world,
    world_to_voxel,
)
from lazycfg.utils.events import EventStorage

CONFIGS = Path(meshrcnn.__path__[0]) / "configs"
NAMES = ("voxmesh_R50", "sphereinit_R50", "pixel2mesh_R50")


@pytest.fixture(scope="module")
def views_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("views")
    make_views(root / "solid_views", models=16, views=2, side=64)
    return root


@pytest.fixture
def quick(views_root, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(views_root))
    cfg = LazyConfig.load(CONFIGS / "quickstart_voxmesh_solids.py")
    small = [
        "model.loss.pred_num_samples=20",
        "dataloader.train.total_batch_size=2",
        "model.voxel_only_iters=1",
    ]
    return LazyConfig.apply_overrides(cfg, [*small, "dataloader.evaluator.num_samples=50"])


@pytest.fixture
def dataset(views_root):
    root = views_root / "solid_views"
    return ShapeNetDataset(data_dir=root, splits_file=root / "splits.json", split="train")


def test_the_grid_of_voxels_is_a_view_of_the_camera():
    points = torch.rand(100, 3, dtype=torch.float64) * torch.tensor([1, 1, 1.5]) - torch.tensor(
        [0.5, 0.5, 2.3]
    )
    grid = world_to_voxel(points)
    torch.testing.assert_close(voxel_to_world(grid), points)
    x, y, z = points.unbind(1)
    torch.testing.assert_close(grid[:, 0], 2.1875 * x / -z)
    torch.testing.assert_close(grid[:, 1], -2.1875 * y / -z)
    # z_ndc = (1.002002 z + 0.2002002) / z, from 0.67 to 0.92
    affine = ((1.002002 * z + 0.2002002) / z - 0.67) / 0.25 * 2 - 1
    torch.testing.assert_close(grid[:, 2], affine)
    near = torch.tensor([[0.0, 0.0, -0.02]])
    assert project(near, torch.tensor(INTRINSICS))[0, 2].item() == pytest.approx(
        (0.02 * 1.002002 - 0.2002002) / 0.1
    )


@pytest.mark.parametrize("name", NAMES)
def test_configs_and_keys(name):
    cfg = LazyConfig.load(CONFIGS / "shapenet" / f"{name}.py")
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    keys = {key for key in model.state_dict() if not key.startswith("backbone.")}
    layers = [f"mesh_head.stages.{i}.{n}" for i in range(3) for n in ("bottleneck", "vert_offset")]
    layers += [
        f"mesh_head.stages.{i}.gconvs.{j}.{w}" for i in range(3) for j in range(3) for w in ("w0", "w1")
    ]
    if name == "voxmesh_R50":
        layers += [f"voxel_head.voxel_fcn{i}" for i in (1, 2, 3, 4)] + [
            "voxel_head.deconv",
            "voxel_head.predictor",
        ]
    assert keys == {"K", *(f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias"))}
    backbone = {key.split(".")[1] for key in model.state_dict() if key.startswith("backbone.")}
    assert backbone == {"stem", "stage1", "stage2", "stage3", "stage4"}
    assert model.backbone.channels == [256, 512, 1024, 2048]
    assert model.mesh_head.stages[0].bottleneck.weight.shape == (128, 3840)
    assert model.mesh_head.stages[1].gconvs[0].w0.weight.shape == (128, 128 + 3 + 128)
    assert (cfg.optimizer.lr, cfg.dataloader.train.total_batch_size, cfg.train.max_iter) == (1e-4, 64, 311875)
    assert model.mesh_head.subdivide == (name == "pixel2mesh_R50")


@pytest.mark.parametrize("name", NAMES)
def test_models_train_and_predict(name):
    cfg = LazyConfig.load(CONFIGS / "shapenet" / f"{name}.py")
    cfg.model.backbone.name = "resnet18"
    cfg.model.mesh_head.update(input_channels=960, graph_conv_dim=8, num_graph_convs=1)
    cfg.model.loss.update(pred_num_samples=20, normal_weight=0.1)
    if name == "voxmesh_R50":
        cfg.model.update(voxel_size=8, voxel_only_iters=1)
        shape = ShapeSpec(channels=512)
        cfg.model.voxel_head.update(input_shape=shape, num_depth=8, num_conv=1, conv_dim=8)
    else:
        cfg.model.ico_sphere_level = 1
    model = instantiate(cfg.model)
    batch = [
        {
            "image": torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8),
            "points": torch.randn(30, 3) - torch.tensor([0, 0, 1.5]),
            "normals": F.normalize(torch.randn(30, 3), dim=1),
            "voxels": torch.rand(8, 8, 8) < 0.3,
        }
        for _ in range(2)
    ]
    with EventStorage() as storage:
        for _ in range(2):  # the first step of VoxMesh is one of voxels only
            losses = model(batch)
            storage.step()
    assert set(losses) == {f"{n}_{i}" for n in ("chamfer", "normal", "edge") for i in range(3)} | (
        {"voxel"} if name == "voxmesh_R50" else set()
    )
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None]
    with torch.no_grad():
        outputs = model.eval()(batch)
    counts = {"sphereinit_R50": 42, "pixel2mesh_R50": 642}
    verts, faces = outputs[1]["mesh"]
    assert len(verts) == counts.get(name, len(verts))
    assert len(faces) > 0
    assert ("voxels" in outputs[0]) == (name == "voxmesh_R50")


def test_no_cell_means_the_half_in_the_middle(quick):
    model = instantiate(quick.model)
    meshes = model.surface(torch.zeros(1, 16, 16, 16))
    assert meshes.faces_per_mesh == [12 * 8 * 8]
    low, high = world_to_voxel(meshes.verts_packed()).aminmax(dim=0)
    assert low.tolist() == pytest.approx([2 * 4 / 15 - 1] * 3, abs=1e-4)
    assert high.tolist() == pytest.approx([2 * 12 / 15 - 1] * 3, abs=1e-4)
    assert tetrahedra(3, torch.device("cpu")).faces_per_mesh == [4, 4, 4]


def test_loss_is_averaged_over_the_stages():
    sphere = ico_sphere(2)
    points = sphere.verts_packed()[None] * 1.2
    loss = MeshLoss(chamfer_weight=2.0, edge_weight=0.2, pred_num_samples=3000)
    losses = loss([sphere, sphere.scale_verts(1.2)], points, F.normalize(points, dim=2), None, None)
    assert losses["chamfer_0"].item() == pytest.approx(2 * (0.2**2 * 2) / 2, rel=0.5)
    assert losses["chamfer_1"] < 0.5 * losses["chamfer_0"]
    assert losses["normal_0"] == 0
    edges = sphere.edges_packed()
    a, b = sphere.verts_packed()[edges].unbind(1)
    assert losses["edge_0"].item() == pytest.approx(0.2 / 2 * (a - b).square().sum(1).mean().item(), rel=1e-4)


def test_shapes_are_where_the_image_shows_them(dataset):
    assert len(dataset) == 24
    record = dataset[5]
    own, evaluated = (
        ShapeNetMapper(is_train=True, num_samples=400, voxel_size=24),
        ShapeNetMapper(is_train=False),
    )
    sample, truth = own(record, np.random.default_rng(0)), evaluated(record)
    verts, faces = truth["mesh"]
    focal = 2.1875 * 64 / 2
    seen = render_mesh(verts * torch.tensor([-1.0, 1, -1]), faces, focal, (64, 64)).face >= 0
    # points and voxels, projected to pixels, lie on the object
    ndc = project(sample["points"], torch.tensor(INTRINSICS))[:, :2]
    columns, lines = ((1 + ndc[:, 0]) * 32).long().clamp(0, 63), ((1 - ndc[:, 1]) * 32).long().clamp(0, 63)
    grown = F.max_pool2d(seen[None].float(), 3, 1, 1)[0] > 0
    assert grown[lines, columns].all()
    flat = sample["voxels"].any(0)
    small = F.interpolate(seen[None, None].float(), size=(24, 24), mode="area")[0, 0] > 0.3
    assert (flat & small).sum() / (flat | small).sum() > 0.7
    assert torch.allclose(sample["normals"].norm(dim=1), torch.ones(400), atol=1e-4)
    assert torch.equal(sample["voxels"], draw_voxels(_all_voxels(record), 24))
    image = truth["image"].float()
    assert image[:, seen].std() > 0


def _all_voxels(record):
    coords = torch.load(Path(record["folder"]) / "voxels.pt")["voxel_coords"]
    pose = torch.load(Path(record["folder"]) / "metadata.pt")["extrinsics"][record["view"]]
    return project(coords, pose)


def test_files_that_lack_something_are_named(views_root, tmp_path, dataset):
    root = views_root / "solid_views"
    with pytest.raises(AnnotationError, match="no split 'val'"):
        ShapeNetDataset(data_dir=root, splits_file=root / "splits.json", split="val")
    with pytest.raises(AnnotationError, match="12 models of 'train' have no folder"):
        ShapeNetDataset(data_dir=tmp_path, splits_file=root / "splits.json", split="train")
    record = {**dataset[0], "folder": str(tmp_path)}
    with pytest.raises(AnnotationError, match=r"metadata\.pt cannot be read"):
        ShapeNetMapper(is_train=True)(record)
    torch.save({"image_list": []}, tmp_path / "metadata.pt")
    with pytest.raises(AnnotationError, match="no 'extrinsics'"):
        ShapeNetMapper(is_train=True)(record)
    torch.save({"image_list": [], "extrinsics": torch.zeros(0, 4, 4)}, tmp_path / "metadata.pt")
    with pytest.raises(AnnotationError, match="has 0 views"):
        ShapeNetMapper(is_train=True)(record)


def test_a_perfect_prediction_and_a_smaller_one(dataset):
    mapper = ShapeNetMapper(is_train=False)
    evaluator = ShapeNetEvaluator(dataset=dataset, num_samples=2000)
    inputs = [mapper(dataset[i]) for i in (0, 1, 10)]  # two of one class, one of another
    assert len({x["class_id"] for x in inputs}) == 2
    shrunk = (inputs[2]["mesh"][0] * 0.5, inputs[2]["mesh"][1])
    evaluator.process(inputs, [{"mesh": inputs[0]["mesh"]}, {"mesh": inputs[1]["mesh"]}, {"mesh": shrunk}])
    results = evaluator.evaluate()
    own = results["scale_normalized"]
    first = dataset.metadata.thing_classes[0]
    assert own[f"F1@0.500000 - {first}"] > 95
    assert own["F1@0.500000 per instance"] == pytest.approx(own[f"F1@0.500000 - {first}"] * 2 / 3, abs=1)
    assert own["F1@0.500000"] == pytest.approx(own[f"F1@0.500000 - {first}"] / 2, abs=1)
    assert set(results["pixel2mesh"]) > {"Chamfer-L2", "AbsNormalConsistency", "F1@0.010000", "F1@0.014142"}
    assert results["pixel2mesh"]["Chamfer-L2"] > 0
    evaluator.reset()
    assert evaluator.evaluate() == {}


@pytest.mark.slow
def test_quickstart_trains(quick, tmp_path):
    LazyConfig.apply_overrides(
        quick, ["train.max_iter=3", "train.log_period=1", f"train.output_dir={tmp_path}/out"]
    )
    results = train(quick)
    assert "F1@0.300000" in results["scale_normalized"]
    assert "Chamfer-L2 per instance" in results["pixel2mesh"]
