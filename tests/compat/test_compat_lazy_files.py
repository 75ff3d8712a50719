"""Lazy config files of detectron2, detrex and EVA load unmodified with the alias."""

import sys
from pathlib import Path

import pytest

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
