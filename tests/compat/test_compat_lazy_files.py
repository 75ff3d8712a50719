"""Lazy config files of detectron2, detrex and EVA load unmodified with the alias."""

import logging
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg import LazyConfig

sys.path.append(str(Path(__file__).parents[1] / "convert"))
from stand_in_trees import aliases, write_tree

OTHERS = ("detrex", "xformers", "projects")


@pytest.mark.parametrize("tree", ["detectron2", "detrex", "eva", "others"])
def test_every_file_loads(tmp_path, tree):
    if tree != "detectron2":
        write_tree(tmp_path / "detectron2", "detectron2")
    files = write_tree(tmp_path / tree, tree)
    with aliases("classes", {"detrex.config": tmp_path / "detrex/detrex/config/configs"}, OTHERS):
        loaded = {file.name: LazyConfig.load(file) for file in files}
    assert all(cfg is not None for cfg in loaded.values())


def test_a_name_that_is_a_module_too_is_the_name():
    import detectron2.config
    from detectron2.config import instantiate
    from detectron2.config.instantiate import instantiate as same

    assert instantiate is same is detectron2.config.instantiate
    assert callable(instantiate)


def test_configs_of_a_project_are_imported_as_configs(tmp_path, monkeypatch):
    files = {
        "my_project_x/__init__.py": "",
        "my_project_x/configs/data.py": (
            "from omegaconf import OmegaConf\nfrom detectron2.config import LazyCall as L\n"
            "dataloader = OmegaConf.create()\ndataloader.train = L(dict)(a=1)\n"
        ),
        "my_project_x/configs/main.py": "from my_project_x.configs.data import dataloader\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert LazyConfig.load(tmp_path / "my_project_x/configs/main.py").dataloader.train.a == 1


@pytest.fixture
def cfg(tmp_path):
    from detectron2.config import LazyConfig

    (tmp_path / "base.py").write_text(
        "import torch\nfrom detectron2.config import LazyCall as L\n"
        "model = L(torch.nn.Linear)(in_features=2, out_features='${..train.width}')\n"
        "train = dict(width=3, init_checkpoint='', output_dir='out', missing='???')\n"
    )
    return LazyConfig.load(str(tmp_path / "base.py"))


def test_omegaconf_answers_for_a_lazy_config_in_the_program_itself(cfg):
    import omegaconf
    from detectron2.config import LazyCall, instantiate
    from omegaconf import DictConfig, OmegaConf

    assert OmegaConf.select(cfg, "model.out_features") == 3
    assert OmegaConf.select(cfg, "dataloader.test.dataset.names", default=None) is None
    assert OmegaConf.select(cfg, "train.missing", default="x") == "x"
    OmegaConf.update(cfg, "train.width", 4)
    assert instantiate(cfg.model).out_features == 4
    assert OmegaConf.is_config(cfg)
    assert OmegaConf.is_missing(cfg.train, "missing")
    assert OmegaConf.to_container(cfg.train, resolve=True)["width"] == 4
    assert "width: 4" in OmegaConf.to_yaml(cfg.train)
    assert OmegaConf.merge(OmegaConf.create({"a": 1}), cfg.train).width == 4
    OmegaConf.set_struct(cfg, False)
    with omegaconf.open_dict(cfg):
        cfg.train.new = 1
    assert instantiate(OmegaConf.create({"head": LazyCall(dict)(a=1)}).head) == {"a": 1}
    with pytest.raises(TypeError, match=r"OmegaConf.save takes no nodes; instead: LazyConfig.save"):
        OmegaConf.save(cfg, "a.yaml")
    theirs = OmegaConf.create({"a": {"b": 1}})  # its own containers are its own
    assert type(theirs) is DictConfig
    assert OmegaConf.select(theirs, "a.b") == 1
    with omegaconf.open_dict(theirs):
        theirs.c = 1


def test_omegaconf_is_as_before_without_the_alias(cfg):
    from omegaconf import OmegaConf

    import lazycfg.compat.detectron2 as detectron2_alias

    detectron2_alias.switch_off()
    try:
        with pytest.raises(AttributeError, match="OmegaConf's functions take no nodes"):
            OmegaConf.select(cfg, "train.width")
        assert OmegaConf.select(OmegaConf.create({"a": 1}), "a") == 1
    finally:
        detectron2_alias.switch_on()
    assert OmegaConf.select(cfg, "train.width") == 3


def test_a_config_that_cannot_be_kept_is_logged_all_the_same(cfg, tmp_path, caplog):
    from detectron2.config import LazyConfig
    from detectron2.engine import default_setup

    cfg.train.output_dir = str(tmp_path / "out")
    cfg.train.float32_precision = "high"
    cfg.head = torch.nn.Linear(1, 1)
    before = torch.get_float32_matmul_precision()
    try:
        with caplog.at_level(logging.WARNING):
            default_setup(cfg, Namespace(config_file="", eval_only=True))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
        logging.getLogger("detectron2").handlers.clear()
    assert "config path 'head'" in caplog.text
    assert 'init_checkpoint: ""' in (tmp_path / "out/config.yaml").read_text()
    assert 'init_checkpoint: ""' in LazyConfig.to_py(cfg, prefix="cfg.")
    del cfg["head"]
    LazyConfig.save(cfg, str(tmp_path / "kept.yaml"))
    assert LazyConfig.load(str(tmp_path / "kept.yaml")).train.width == 3


def test_a_config_of_omegaconf_is_built_with_what_stands_around_it():
    from detectron2.config import instantiate
    from omegaconf import OmegaConf

    linear = {"_target_": "torch.nn.Linear", "in_features": "${width}", "out_features": 4}
    cfg = OmegaConf.create({"width": 3, "models": [linear], "model": linear})
    assert instantiate(cfg.model).in_features == 3
    assert [model.in_features for model in instantiate(cfg.models)] == [3]
    assert instantiate(OmegaConf.create({**linear, "in_features": 2})).in_features == 2


def test_the_data_of_the_zoo_are_read_by_name(tmp_path):
    import detectron2.data.transforms as T
    from detectron2 import model_zoo
    from detectron2.config import instantiate
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.evaluation import COCOEvaluator
    from omegaconf import OmegaConf

    dataloader = model_zoo.get_config("common/data/coco.py").dataloader
    assert dataloader.train.dataset.names == "coco_2017_train"
    assert dataloader.test.dataset.names == "coco_2017_val"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    box = {"bbox": [1, 1, 9, 9], "bbox_mode": 0, "category_id": 0, "segmentation": [[1, 1, 9, 1, 9, 9]]}
    record = {"file_name": str(tmp_path / "a.png"), "height": 20, "width": 30, "image_id": 1}
    records = [{**record, "annotations": [box]}, {**record, "image_id": 2, "annotations": []}]
    DatasetCatalog.register("d2_by_name", lambda: records)
    MetadataCatalog.get("d2_by_name").thing_classes = ["a"]
    try:
        dataloader.train.dataset.names = "d2_by_name"
        dataloader.train.update(num_workers=0, total_batch_size=1)
        dataloader.test.dataset.names = ("d2_by_name",)
        dataloader.test.num_workers = 0
        dataloader.train.mapper.augmentations = []
        dataloader.train.mapper.image_format = "RGB"
        assert OmegaConf.select(dataloader, "test.dataset.names") == ("d2_by_name",)
        (first,) = next(iter(instantiate(dataloader.train)))
        assert first["instances"].gt_boxes.tensor.tolist() == [[1, 1, 9, 9]]
        assert len(instantiate(dataloader.train.dataset)) == 1  # the other image is empty
        assert len(instantiate(dataloader.test)) == 2
        mapper = instantiate(dataloader.test.mapper)
        assert mapper.image_format == "RGB"
        image = np.zeros((20, 30, 3), np.uint8)
        assert mapper.augmentations(T.AugInput(image)).apply_image(image).shape == (800, 1200, 3)
        dataloader.test.dataset.names = "d2_by_name"
        assert dataloader.evaluator.dataset_name == "d2_by_name"
        assert isinstance(instantiate(dataloader.evaluator), COCOEvaluator)
    finally:
        DatasetCatalog.remove("d2_by_name")
        MetadataCatalog.remove("d2_by_name")
    keypoints = model_zoo.get_config("common/data/coco_keypoint.py").dataloader
    assert keypoints.train.dataset.min_keypoints == 1
    assert keypoints.evaluator.dataset_name == "keypoints_coco_2017_val"
    panoptic = model_zoo.get_config("common/data/coco_panoptic_separated.py").dataloader
    assert panoptic.train.dataset.filter_empty is False
    assert {part.dataset_name for part in panoptic.evaluator} == {"coco_2017_val_panoptic_separated"}
