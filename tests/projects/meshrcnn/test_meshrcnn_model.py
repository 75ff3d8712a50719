"""Mesh R-CNN as a whole: its configs, keys, a training step, edge cases, and what it costs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lazycfg import LazyConfig, check, instantiate
from lazycfg.engine import Predictor, train
from lazycfg.projects import meshrcnn
from lazycfg.projects.meshrcnn import MeshInstances, MeshRCNNGraphConvSubdHead
from lazycfg.projects.meshrcnn.predict import main
from lazycfg.structures import load_obj
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage

CONFIGS = Path(meshrcnn.__path__[0]) / "configs"
PIX3D = sorted(path.name for path in (CONFIGS / "pix3d").glob("*.py"))
SMALL = [
    "model.roi_heads.box_predictor.test_score_thresh=0.0",
    "model.roi_heads.box_predictor.test_topk_per_image=4",
    "model.roi_heads.batch_size_per_image=4",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.batch_size=2",
    "dataloader.evaluator.num_samples=100",
]
FEW_POINTS = ["model.roi_heads.mesh_head.gt_num_samples=30", "model.roi_heads.mesh_head.pred_num_samples=20"]
SHAPES = {
    "voxel": FEW_POINTS,
    "voxel only": ["model.roi_heads.mesh_head=None"],
    "sphere": [*FEW_POINTS, "model.roi_heads.voxel_head=None", "model.roi_heads.ico_sphere_level=1"],
}


def published_keys(voxels, meshes):
    """Of the shape heads in the checkpoints that the authors publish."""
    layers = ["z_head.z_fc1", "z_head.z_fc2", "z_head.z_pred"]
    layers += [
        f"mask_head.{n}" for n in ("mask_fcn1", "mask_fcn2", "mask_fcn3", "mask_fcn4", "deconv", "predictor")
    ]
    if voxels:
        names = ("voxel_fcn1", "voxel_fcn2", "voxel_fcn3", "voxel_fcn4", "deconv", "predictor")
        layers += [f"voxel_head.{n}" for n in names]
    for i in range(3 if meshes else 0):
        layers += [f"mesh_head.stages.{i}.{n}" for n in ("bottleneck", "verts_offset")]
        layers += [f"mesh_head.stages.{i}.gconvs.{j}.{w}" for j in range(3) for w in ("w0", "w1")]
    return {f"roi_heads.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_there_are_four_configs():
    assert PIX3D == [
        "meshrcnn_R50_FPN.py", "pixel2mesh_R50_FPN.py", "sphereinit_R50_FPN.py", "voxelrcnn_R50_FPN.py"
    ]  # fmt: skip


@pytest.mark.parametrize("name", PIX3D)
def test_configs_have_the_values_and_keys_of_the_reference(name):
    cfg = LazyConfig.load(CONFIGS / "pix3d" / name)
    check(cfg)
    with torch.device("meta"):
        model = instantiate(cfg.model)
    keys = {key for key in model.state_dict() if key.startswith("roi_heads.") and ".box_" not in key}
    voxels, meshes = name.startswith(("mesh", "voxel")), not name.startswith("voxel")
    assert keys == published_keys(voxels, meshes)
    heads, rpn = model.roi_heads, model.proposal_generator
    assert rpn.anchor_matcher.thresholds[1:-1] == [0.2, 0.5, 0.7]
    assert rpn.anchor_matcher.labels == [-1, 0, -1, 1]
    assert rpn.smooth_l1_beta == 0.111
    assert heads.proposal_matcher.thresholds[1:-1] == [0.2, 0.5]
    assert heads.proposal_matcher.labels == [-1, 0, 1]
    assert (heads.num_classes, heads.batch_size_per_image, heads.positive_fraction) == (9, 64, 0.25)
    assert heads.box_predictor.smooth_l1_beta == 1.0
    assert (heads.z_head.loss_weight, heads.z_head.smooth_l1_beta) == (1.0, 1.0)
    assert heads.z_head.z_fc1.weight.shape == (1024, 256 * 7 * 7)
    assert heads.z_head.z_pred.weight.shape == (9, 1024)
    if voxels:
        assert heads.voxel_head.predictor.weight.shape == (24, 256, 1, 1)
        assert (heads.voxel_head.loss_weight, heads.cubify_thresh) == (3.0, 0.2)
    else:
        assert heads.ico_sphere_level == (2 if name.startswith("pixel") else 4)
    if meshes:
        assert heads.mesh_head.stages[1].gconvs[0].w0.weight.shape == (128, 128 + 128 + 3)
        assert isinstance(heads.mesh_head, MeshRCNNGraphConvSubdHead) == name.startswith("pixel")
        assert list(heads.mesh_head.loss_weights.values()) == [1.0, 0.1, 1.0]
    poolers = {n: p.output_size for n, p in heads.named_children() if n.endswith("pooler")}
    assert poolers == {
        "box_pooler": (7, 7), "mask_pooler": (14, 14), "z_pooler": (7, 7), "voxel_pooler": (12, 12),
        "mesh_pooler": (14, 14),
    }  # fmt: skip
    assert (cfg.train.max_iter, cfg.optimizer.lr, cfg.dataloader.train.total_batch_size) == (11000, 0.02, 16)
    factor = instantiate(cfg.lr_multiplier)
    steps = [factor(step / 11000) for step in (0, 1000, 7999, 8001, 10001)]
    assert steps == pytest.approx([0.1, 1, 1, 0.1, 0.01])


@pytest.fixture
def small(cfg):
    def build(*overrides):
        own = LazyConfig.apply_overrides(cfg.copy(), [*SMALL, *overrides])
        torch.manual_seed(0)
        return instantiate(own.model), own

    return build


def batch_of(cfg, count=2):
    mapper, dataset = instantiate(cfg.dataloader.train.mapper), instantiate(cfg.dataloader.train.dataset)
    return [mapper(dataset[i], np.random.default_rng(0)) for i in range(count)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_gives_every_parameter_a_gradient(small, shape):
    model, cfg = small(*SHAPES[shape])
    with EventStorage():
        losses = model(batch_of(cfg))
    expected = {"loss_cls", "loss_box_reg", "loss_rpn_cls", "loss_rpn_loc", "loss_mask", "loss_z_reg"}
    expected |= {"loss_voxel"} if shape != "sphere" else set()
    expected |= {"loss_chamfer", "loss_normals", "loss_edge"} if shape != "voxel only" else set()
    assert set(losses) == expected
    sum(losses.values()).backward()
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize("shape", SHAPES)
def test_inference(small, shape):
    model, cfg = small(*SHAPES[shape])
    if shape != "sphere":
        torch.nn.init.zeros_(model.roi_heads.voxel_head.predictor.weight)  # half for every cell: a full cube
    with torch.no_grad():
        outputs = model.eval()([{"image": x["image"], "height": 128, "width": 96} for x in batch_of(cfg)])
    for x in (output["instances"] for output in outputs):
        assert len(x) > 0
        assert x.pred_dz.shape == (len(x), 1)
        assert isinstance(x.pred_meshes, MeshInstances)
        assert x.pred_masks.shape == (len(x), 128, 96)
        assert x.has("pred_voxels") == (shape != "sphere")
        count = {"sphere": 42}.get(shape, 6 * 16**2 + 2)
        assert all(len(verts) == count for verts, _ in x.pred_meshes)


def test_no_objects_and_nothing_found(small):
    model, cfg = small(*FEW_POINTS)
    full, empty = batch_of(cfg)
    empty["instances"] = empty["instances"][:0]
    for batch in ([full, empty], [empty]):
        model.zero_grad()
        with EventStorage():
            losses = model(batch)
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(p.grad is not None for p in model.roi_heads.mesh_head.parameters())
    model.roi_heads.box_predictor.test_score_thresh = 1.1
    with torch.no_grad():
        (output,) = model.eval()([{"image": full["image"][:, :50, :61]}])
    assert len(output["instances"]) == len(output["instances"].pred_meshes) == 0
    assert output["instances"].pred_voxels.shape == (0, 1, 16, 16, 16)


def test_all_cells_free(small):
    """A voxel head that is sure of nothing: meshes without vertices, and no loss of them."""
    model, cfg = small(*FEW_POINTS)
    torch.nn.init.constant_(model.roi_heads.voxel_head.predictor.bias, -9.0)
    with EventStorage():
        losses = model(batch_of(cfg))
    assert losses["loss_chamfer"] == losses["loss_edge"] == 0
    with torch.no_grad():
        found = model.eval()([{"image": batch_of(cfg, 1)[0]["image"]}])[0]["instances"]
    assert all(len(verts) == len(faces) == 0 for verts, faces in found.pred_meshes)


def test_ground_truth_that_is_missing_is_named(small):
    model, cfg = small(*FEW_POINTS)
    batch = batch_of(cfg)
    batch[1]["instances"].remove("gt_voxels")
    with EventStorage(), pytest.raises(ValueError, match=r"needs gt_voxels.*Pix3DMapper"):
        model(batch)
    with pytest.raises(ValueError, match=r"voxel_head\.num_classes=1"):
        small("model.roi_heads.voxel_head.num_classes=4")


def test_autocast(small):
    model, cfg = small(*FEW_POINTS)
    with EventStorage(), torch.autocast("cpu", torch.bfloat16):
        losses = model(batch_of(cfg))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.eval()([{"image": batch_of(cfg, 1)[0]["image"]}])[0]["instances"]
    assert next(iter(found.pred_meshes))[0].dtype == torch.float32


def test_a_step_waits_as_often_for_any_batch(small):
    model, cfg = small(*FEW_POINTS)
    waits, ops = [], []
    for count in (1, 2, 8):
        batch = batch_of(cfg, count)
        with EventStorage():
            model(batch)
            with SyncCounter() as counter:
                model(batch)
        waits.append(counter.num_syncs)
        ops.append(sum(counter.ops.values()))
    assert len(set(waits)) == 1, waits
    assert waits[0] <= 22, counter.waits()
    assert max(ops) - min(ops) < 0.1 * min(ops), ops


@pytest.mark.slow
def test_quickstart_trains_evaluates_and_predicts(cfg, data_root, tmp_path, capsys):
    out = tmp_path / "out"
    LazyConfig.apply_overrides(
        cfg,
        [
            *SMALL,
            *FEW_POINTS,
            "train.max_iter=3",
            "train.log_period=1",
            "train.pictures=1",
            f"train.output_dir={out}",
        ],
    )
    results = train(cfg)
    assert {"box_ap@0.5", "mask_ap@0.5", "mesh_ap@0.5"} <= set(results["shape"])
    image = data_root / "solids" / "img" / "test_00000.png"
    predictor = Predictor.from_config(out / "config.yaml", weights=out / "model_final.safetensors")
    assert isinstance(predictor(str(image)).pred_meshes, MeshInstances)
    options = ["--config", str(out / "config.yaml"), "--weights", str(out / "model_final.safetensors")]
    assert main([str(image), *options, "--output", str(tmp_path / "meshes"), "--score", "0"]) == 0
    written = capsys.readouterr().out.split()
    assert written[-1].endswith("test_00000.png")
    verts, faces = load_obj(written[0])
    assert len(faces) > 0
    assert 5 < verts[:, 2].mean() < 15
    assert main(["none.png", *options, "--output", str(tmp_path / "meshes")]) == 2
    assert "none.png" in capsys.readouterr().err
