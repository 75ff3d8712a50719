"""A run folder by itself: read in other processes, moved away from its data, evaluated and drawn from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig
from lazycfg.data import ShapesDataset
from lazycfg.engine.run_metadata import metadata_of_weights

HERE = Path(__file__).parent
TRAIN_NET = HERE.parents[1] / "tools" / "train_net.py"
NAMES = ("circle", "square", "bar")

HEAD = '''"""A head of one's own, beside the config."""

from lazycfg.modeling.roi_heads import FastRCNNOutputLayers

SCALE = 2.0


class MyHead(FastRCNNOutputLayers):
    def forward(self, x):
        scores, deltas = super().forward(x)
        return scores * SCALE, deltas
'''
CONFIG = '''
from lazycfg import LazyCall as L
from lazycfg.data import CocoDataset, DatasetMapper
from lazycfg.engine import CallbackHook

from .my_head import MyHead
from .tiny import dataloader, lr_multiplier, model, optimizer, train


class Halved:
    """Every other record of a data set: a data set of one's own."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.metadata = dataset.metadata
        self.num_classes = dataset.num_classes

    def __len__(self):
        return len(self.dataset) // 2

    def __getitem__(self, index):
        return self.dataset[2 * index]


def margins(metadata):
    return [0.5] * len(metadata.thing_classes)


data = dict(train=FOLDER + "/shapes.json", size=64)
dataloader.train.dataset = L(Halved)(dataset=L(CocoDataset)(json_file="${data.train}"))
dataloader.test.dataset = L(CocoDataset)(json_file="${data.train}")
dataloader.evaluator.dataset = dataloader.test.dataset
dataloader.train.total_batch_size = 2
model.roi_heads.num_classes = L.attr(dataloader.train.dataset, "num_classes")
model.roi_heads.box_predictor._target_ = MyHead
train.update(max_iter=2, pictures=1)
train.hooks = [L(CallbackHook)(before_train=lambda trainer: None)]
'''


def run(*command, cwd, ok=True):
    """What a process of its own prints, and that it ends well (or not)."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
    text = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, text
    return text


def run_code(code, *, cwd):
    return run("-c", code, cwd=cwd)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A folder with data, a config with code of its own beside it, and its run in ``out``."""
    folder = tmp_path_factory.mktemp("job")
    shapes = ShapesDataset(num_images=4, image_size=64, classes=NAMES, num_objects=(2, 3), seed=3)
    annotations, _ = shapes.export_coco(folder / "data")
    (folder / "my_head.py").write_text(HEAD)
    shutil.copy(HERE / "tiny_mask_rcnn.py", folder / "tiny.py")
    config = CONFIG.replace('FOLDER + "/shapes.json"', repr(str(annotations)))
    (folder / "own.py").write_text(config)
    run(TRAIN_NET, "--config-file", "own.py", "train.output_dir=out", cwd=folder)
    return folder


def test_it_goes_on_in_another_process(job):
    text = run(TRAIN_NET, "--config-file", "out/config.py", "--resume", "train.max_iter=3", cwd=job)
    assert "resumed from" in text
    assert "its classes" not in text
    assert LazyConfig.load(job / "out" / "config.py").train.max_iter == 3


def test_what_was_asked_of_the_data_is_saved_as_values(job):
    cfg = LazyConfig.load(job / "out" / "config.py")
    assert cfg.model.roi_heads.num_classes == 3
    assert metadata_of_weights(job / "out" / "model_final.safetensors").thing_classes == NAMES
    checkpoint = (job / "out" / "last_checkpoint").read_text().strip()
    assert metadata_of_weights(job / "out" / checkpoint).thing_classes == NAMES


@pytest.mark.parametrize(
    "suffix", ["py", *(pytest.param(name, marks=pytest.mark.slow) for name in ("yaml", "json"))]
)
def test_it_predicts_where_the_data_is_not(job, tmp_path, suffix):
    """Config and weights are copied, nothing else; the data is looked for in vain."""
    cfg = LazyConfig.load(job / "out" / "config.py")
    cfg.data.train = "/no/such/place/train.json"
    LazyConfig.save(cfg, tmp_path / f"config.{suffix}")
    shutil.copy(job / "out" / "model_final.safetensors", tmp_path)
    trusted = "" if suffix == "py" else ", trusted=True"  # its classes are in the file as source
    told = run_code(
        f"""
import numpy as np
from lazycfg import LazyConfig
from lazycfg.engine import Predictor
cfg = LazyConfig.load("config.{suffix}"{trusted})
predictor = Predictor.from_config(cfg, weights="model_final.safetensors", device="cpu")
image = np.zeros((40, 60, 3), np.uint8)
found = predictor(image, channel_order="RGB")
assert type(predictor.model.roi_heads.box_predictor).__name__ == "MyHead"
print(predictor.metadata.thing_classes, found.image_size)
print(predictor.draw(image, found, channel_order="RGB", scale=2).shape)
""",
        cwd=tmp_path,
    )
    assert f"{NAMES} (40, 60)" in told
    assert "(80, 120, 3)" in told


@pytest.mark.slow
def test_an_evaluation_leaves_the_training_alone(job):
    out = job / "out"
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    weights = "train.init_checkpoint=out/model_final.safetensors"
    for folder in ("model_final", "model_final_2"):
        run(TRAIN_NET, "--config-file", "out/config.py", "--eval-only", weights, cwd=job)
        results = out / "evaluation" / folder / "results.json"
        assert "bbox" in json.loads(results.read_text(), parse_constant=pytest.fail)
        assert list((out / "evaluation" / folder / "pictures").iterdir())
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_other_data_is_an_error_that_names_both(job, tmp_path):
    shapes = ShapesDataset(num_images=4, image_size=64, classes=("circle", "star", "bar"), seed=1)
    annotations, _ = shapes.export_coco(tmp_path)
    changed = f"data.train={annotations}"
    command = ["--config-file", "out/config.py", "--resume", "train.max_iter=5", changed]
    before = {path: path.read_bytes() for path in (job / "out").glob("config.*")}
    text = run(TRAIN_NET, *command, cwd=job, ok=False)
    assert "Traceback" not in text
    assert "3 (circle, star, bar)" in text
    assert "3 (circle, square, bar)" in text
    assert {path: path.read_bytes() for path in (job / "out").glob("config.*")} == before
