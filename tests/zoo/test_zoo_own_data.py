"""The quickstart configs for own data: sound, with weights by name that fit, and each of them trains."""

import pytest
import torch
import torchvision
from own_data import write_data
from torch import nn

from lazycfg import LazyConfig, check, instantiate, model_zoo
from lazycfg.checkpoint import download, load_weights, remote_file
from lazycfg.engine import train

# Fewer regions, for a CPU
SMALL = [
    "model.proposal_generator.pre_nms_topk=[100,100]",
    "model.proposal_generator.post_nms_topk=[50,20]",
    "model.roi_heads.batch_size_per_image=16",
    "model.roi_heads.box_predictor.test_topk_per_image=5",
]
TASKS = ("boxes", "masks", "keypoints", "rotated_boxes", "semantic", "panoptic")
TRUNKS = {"nano": "mobilenet_v3_large", "small": "resnet18", "base": "convnext_tiny"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder of weights as torchvision's would lie there, with random values."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAZYCFG_WEIGHTS", str(folder))
        for size, trunk in TRUNKS.items():
            path = remote_file(load("boxes", size, ()).train.init_checkpoint).path
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.manual_seed(0)
            torch.save(getattr(torchvision.models, trunk)().state_dict(), path)
    return folder


@pytest.fixture
def cached(cache, monkeypatch):
    monkeypatch.setenv("LAZYCFG_WEIGHTS", str(cache))
    monkeypatch.setattr(download, "_check_kept", lambda path, remote: None)


def load(task, size, overrides):
    cfg = model_zoo.get_config(f"quickstart/{task}_{size}")
    LazyConfig.apply_overrides(cfg, list(overrides))
    return cfg


@pytest.mark.parametrize("size", TRUNKS)
@pytest.mark.parametrize("task", TASKS)
def test_config_is_sound(task, size, data):
    cfg = load(task, size, data[task])
    assert check(cfg) == []
    with torch.device("meta"):
        instantiate(cfg.model)


@pytest.mark.parametrize("size", TRUNKS)
def test_the_weights_of_a_trunk_fit(size, data, cached):
    cfg = load("boxes", size, data["boxes"])
    model = instantiate(cfg.model)
    report = load_weights(model, cfg.train.init_checkpoint)
    trunk = model.backbone.bottom_up
    names = {f"backbone.bottom_up.{name}" for name in trunk.state_dict()}
    assert not report.problems
    assert not report.remarks
    assert set(report.loaded) >= names - {name for name in names if name.endswith("num_batches_tracked")}
    millions = sum(value.numel() for value in trunk.parameters()) / 1e6
    frozen = sum(value.numel() for value in trunk.buffers()) / 2e6 if size != "base" else 0
    assert millions + frozen == pytest.approx({"nano": 2.97, "small": 11.18, "base": 27.82}[size], abs=0.01)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "size"),
    [*((task, "nano") for task in TASKS), *(("masks", size) for size in TRUNKS if size != "nano")],
)
def test_it_trains_two_steps(task, size, data, cached, tmp_path):
    cfg = load(
        task,
        size,
        [
            *data[task],
            *(SMALL if task != "semantic" else ()),
            *(
                ["dataloader.evaluator.kpt_oks_sigmas=[0.05,0.05,0.05,0.05,0.05]"]
                if task == "keypoints"
                else ()
            ),
            f"train.output_dir={tmp_path}",
            "train.device=cpu",
            "train.max_iter=2",
            "train.log_period=1",
            "train.eval_period=0",
            "train.pictures=1",
            "image.size=96",
            "dataloader.train.total_batch_size=2",
            "dataloader.train.num_workers=0",
            "dataloader.test.num_workers=0",
        ],
    )
    results = train(cfg)
    assert results
    assert (tmp_path / "model_final.safetensors").is_file()
    lines = (tmp_path / "metrics.json").read_text().splitlines()
    assert len(lines) >= 2
