"""The tutorial: its configs train, its command line works, its notebook runs."""

import json
from pathlib import Path

import pytest
import torch

from lazycfg import LazyConfig, check, instantiate, model_zoo
from lazycfg.engine import train
from lazycfg.projects import write_models
from lazycfg.projects.write_models import MyRCNNOutput, ToyBackbone

FOLDER = Path(write_models.__file__).parent
# A run of two small steps
SHORT = [
    "train.max_iter=2",
    "train.log_period=1",
    "train.pictures=1",
    "dataloader.train.total_batch_size=2",
    "dataloader.test.dataset.num_images=2",
]


@pytest.mark.parametrize("name", ["toy_faster_rcnn_shapes.py", "my_rcnn_output_shapes.py"])
def test_configs_train(name, tmp_path):
    cfg = LazyConfig.load(FOLDER / "configs" / name)
    LazyConfig.apply_overrides(cfg, [*SHORT, f"train.output_dir={tmp_path / 'out'}"])
    results = train(cfg)
    assert "AP50" in results["bbox"]
    assert ("segm" in results) == (name == "my_rcnn_output_shapes.py")


def test_a_class_on_the_command_line_takes_over_the_arguments():
    cfg = model_zoo.get_config("quickstart/mask_rcnn_shapes.py")
    before = dict(cfg.model.roi_heads.box_predictor.args())
    name = "lazycfg.projects.write_models.MyRCNNOutput"
    LazyConfig.apply_overrides(
        cfg, [f"model.roi_heads.box_predictor=@{name}", "model.roi_heads.box_predictor.gamma=1.5"]
    )
    check(cfg.model)
    assert dict(cfg.model.roi_heads.box_predictor.args()) == {**before, "gamma": 1.5}
    predictor = instantiate(cfg.model).roi_heads.box_predictor
    assert type(predictor) is MyRCNNOutput
    assert predictor.gamma == 1.5
    assert predictor.num_classes == 4


def test_focal_loss_of_no_focus_is_cross_entropy():
    cfg = LazyConfig.load(FOLDER / "configs" / "my_rcnn_output_shapes.py")
    cfg.model.roi_heads.box_predictor.gamma = 0.0
    predictor = instantiate(cfg.model).roi_heads.box_predictor
    scores, classes = torch.randn(9, 5), torch.randint(0, 5, (9,))
    expected = torch.nn.functional.cross_entropy(scores, classes)
    torch.testing.assert_close(predictor.classification_loss(scores, classes), expected)
    predictor.gamma = 2.0
    assert predictor.classification_loss(scores, classes) < expected


def test_toy_backbone_keeps_its_promise():
    backbone = ToyBackbone(out_channels=8, stride=16)
    (name, shape), *others = backbone.output_shape().items()
    out = backbone(torch.zeros(2, 3, 64, 96))
    assert not others
    assert out[name].shape == (2, shape.channels, 64 // shape.stride, 96 // shape.stride)


@pytest.mark.slow
def test_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((FOLDER / "write_models.ipynb").read_text())
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"]).replace("max_iter=20", "max_iter=2")
            exec(compile(source, "write_models.ipynb", "exec"), names)
    assert (tmp_path / "output" / "notebook" / "model_final.safetensors").exists()
    assert "AP50" in names["results"]["bbox"]
