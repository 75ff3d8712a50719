"""Config files written for detectron2 load as they are, once its names lead somewhere."""

import sys

import pytest
from stand_in_trees import KINDS, aliases, write_tree

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node, check
from lazycfg.config.isolation.packages import take_as_code, take_as_configs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [True, False])
def test_every_file_loads(tmp_path, kind, own):
    """`own`: detectron2's common files are those of the stand-ins; otherwise those of our model zoo."""
    trees = {name: write_tree(tmp_path / name, name) for name in ("detectron2", "detrex", "eva", "others")}
    zoos = {"detrex.config": tmp_path / "detrex/detrex/config/configs"}
    if own:
        zoos["detectron2.model_zoo"] = tmp_path / "detectron2/configs"
    with aliases(kind, zoos):
        loaded = {
            str(file.relative_to(tmp_path)): LazyConfig.load(file) for tree in trees.values() for file in tree
        }
    assert len(loaded) > 60

    schedule = loaded["detectron2/configs/new_baselines/mask_rcnn_R_50_FPN_200ep_LSJ.py"]
    assert schedule.train.max_iter == 368750
    assert schedule.lr_multiplier.scheduler.milestones == [327778, 355092]
    dino = loaded["detrex/projects/dino/configs/dino-resnet/dino_r50_5scale_12ep.py"]
    assert len(dino.model.criterion.weight_dict) == 4 * (1 + 1 + 5)
    assert dino.model.transformer.encoder.num_feature_levels == 5
    assert dino.dataloader.evaluator.output_dir == "./output/dino_r50_4scale_12ep"
    assert dino.train.clip_grad.params.max_norm == 0.1
    if own:
        assert dino.dataloader.evaluator.dataset_name == "coco_2017_val"
    eva = loaded["eva/projects/ViTDet/configs/common/o365_loader_lsj.py"]
    assert eva.dataloader.test is eva.coco_loader.test
    keypoints = loaded["detectron2/configs/COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.py"]
    assert list(keypoints.dataloader.train.mapper.keypoint_hflip_indices[:3]) == [0, 2, 1]


def test_a_key_that_no_file_has_is_still_refused(tmp_path):
    write_tree(tmp_path, "detectron2")
    (tmp_path / "configs/typo.py").write_text(
        "from .common.train import train\ntrain.model_ema.enabled = True\n"
    )
    with pytest.raises(AttributeError, match="train has no argument or key 'model_ema'; available"):
        LazyConfig.load(tmp_path / "configs/typo.py")


def test_the_arguments_of_one_call_go_into_another():
    node = L(dict)(a=1, b=2)
    assert L(list)(**node) == L(list)(a=1, b=2)
    assert L(Node)(**{**node, "b": 3}) == L(Node)(a=1, b=3)
    assert [p.message for p in check(L(complex)(**node), raises=False)]


TREE = {
    "root_of_configs/__init__.py": "",
    "root_of_configs/configs/data.py": (
        "from omegaconf import OmegaConf\nfrom lazycfg import LazyCall as L\n"
        "dataloader = OmegaConf.create()\ndataloader.train = L(dict)(a=1)\n"
    ),
    "root_of_configs/configs/main.py": (
        "from root_of_configs.configs.data import dataloader\ndataloader.train.a = 2\n"
    ),
}


@pytest.fixture
def main(tmp_path, monkeypatch):
    for path, text in TREE.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "root_of_configs/configs/main.py"
    for name in [name for name in sys.modules if name.startswith("root_of_configs")]:
        del sys.modules[name]


def test_a_module_that_puts_calls_into_omegaconf_is_named_with_the_remedy(main):
    with pytest.raises(Exception, match="not a supported primitive type") as info:
        LazyConfig.load(main)
    [note] = info.value.__notes__
    assert f"in {main.parent / 'data.py'}\n" in note
    assert "write Node() for OmegaConf.create()" in note


def test_packages_of_configs_can_be_told_by_their_name(main):
    take_as_configs("configs")
    try:
        cfg = LazyConfig.load(main)
        assert cfg.dataloader == Node(train=L(dict)(a=2))
        assert LazyConfig.load(main.parent / "data.py").dataloader.train.a == 1
        assert "root_of_configs.configs.data" not in sys.modules
    finally:
        take_as_code("configs")
