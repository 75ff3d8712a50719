"""Lazy config files of detectron2 rewritten as ours."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_trees import files_of, write_tree

from lazycfg import LazyConfig, check, model_zoo
from lazycfg.config.building.build import instantiate
from lazycfg.convert import ConvertError, convert
from lazycfg.convert.fitting import fit

NO_COUNTERPART = {"configs/Misc/mmdet_mask_rcnn.py", "configs/dataset_classes.py"}


def written(converted, folder, name):
    folder.mkdir(exist_ok=True)
    for place, text in {**converted.files, name: converted.text}.items():
        file = folder / place
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
    return folder / name


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    for name in ("detectron2", "detrex", "eva", "others"):
        write_tree(folder / name, name)
    return folder


def converted(tree, path):
    return convert(tree / path, format="lazy")


@pytest.mark.parametrize(
    "path",
    [
        f"{name}/{path}"
        for name in ("detectron2", "others")
        for path in files_of(name)
        if path not in NO_COUNTERPART and "import" in files_of(name)[path]
    ],
)
def test_the_new_file_says_what_the_old_one_did(tree, tmp_path, path):
    result = converted(tree, path)
    assert not [remark for remark in result.remarks if "something else" in remark or "takes no" in remark]
    assert "from detectron2" not in result.text
    assert "import detectron2" not in result.text
    file = written(result, tmp_path / "new", Path(path).name)
    code = "import sys; from lazycfg import LazyConfig; LazyConfig.load(sys.argv[1])"
    cfg = LazyConfig.load(file)
    if "new_baselines" in path:
        subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    if "model" in cfg and path.startswith("detectron2"):
        assert [p.message for p in check(cfg.model, raises=False) if p.severity == "error"] == []


@pytest.mark.parametrize("name", ["mask_rcnn_fpn", "cascade_rcnn", "retinanet", "mask_rcnn_vitdet"])
def test_models_are_those_of_the_zoo(tree, tmp_path, name):
    cfg = LazyConfig.load(
        written(converted(tree, f"detectron2/configs/common/models/{name}.py"), tmp_path, f"{name}.py")
    )
    edits = fit(model_zoo.get_config(f"common/models/{name}.py"), cfg, "model")
    assert [edit.path[-1] for edit in edits] == (["norm_layer"] if name == "mask_rcnn_vitdet" else [])


def test_the_data_are_those_of_the_zoo(tree, tmp_path):
    cfg = LazyConfig.load(
        written(converted(tree, "detectron2/configs/common/data/coco.py"), tmp_path, "coco.py")
    )
    zoo = model_zoo.get_config("common/data/coco.py").dataloader
    assert cfg.dataloader.train.dataset == zoo.train.dataset
    assert cfg.dataloader.test.dataset == zoo.test.dataset
    assert cfg.dataloader.test.mapper.image_format == "BGR"
    assert cfg.dataloader.evaluator.dataset is cfg.dataloader.test.dataset
    assert check(cfg) == []


def test_what_the_zoo_has_is_imported_from_there(tree):
    result = converted(tree, "detectron2/configs/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
    assert result.files == {}
    assert result.text.splitlines()[:5] == [
        "from lazycfg.model_zoo.common.optim import SGD as optimizer",
        "from lazycfg.model_zoo.common.coco_schedule import lr_multiplier_1x as lr_multiplier",
        "from lazycfg.model_zoo.common.data.coco import dataloader",
        "from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model",
        "from lazycfg.model_zoo.common.train import train",
    ]
    assert any("bfloat16" in remark for remark in result.remarks)


def test_a_file_that_was_changed_is_not_taken_for_that_of_the_zoo(tree):
    optim = tree / "detectron2/configs/common/optim.py"
    before = optim.read_text()
    optim.write_text(before.replace("momentum=0.9", "momentum=0.8"))
    try:
        result = converted(tree, "detectron2/configs/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
    finally:
        optim.write_text(before)
    assert list(result.files) == ["common/optim.py"]
    assert "from .common.optim import SGD as optimizer" in result.text
    assert "momentum=0.8" in result.files["common/optim.py"]


def test_formatting_and_comments_stay(tree):
    path = "detectron2/configs/new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py"
    result = converted(tree, path)
    text, _, comments = result.text.rpartition("\n\n")
    assert comments.replace("\n# ", " ").startswith(f"# {result.remarks[0]}")
    old, new = (tree / path).read_text().splitlines(), text.splitlines()
    changed = [line for line in old if line not in new]
    assert all("import " in line for line in changed), changed
    assert len(new) == len(old)


def test_data_sets_by_name(tree, tmp_path):
    result = converted(tree, "detectron2/projects/ViTDet/configs/LVIS/mask_rcnn_vitdet_b_100ep.py")
    cfg = LazyConfig.load(written(result, tmp_path, "lvis.py"))
    zoo = model_zoo.get_config("ViTDet/LVIS/mask_rcnn_vitdet_b_100ep.py")
    for place in ("train", "test"):
        assert cfg.dataloader[place].dataset == zoo.dataloader[place].dataset
    assert cfg.dataloader.evaluator.dataset is cfg.dataloader.test.dataset
    assert cfg.dataloader.train.sampler.repeat_factors.dataset is cfg.dataloader.train.dataset
    weights = cfg.model.roi_heads.box_predictor.get_fed_loss_cls_weights
    assert weights == zoo.model.roi_heads.box_predictor.get_fed_loss_cls_weights
    assert cfg.optimizer.params.model is cfg.model
    problems = [p.message for p in check(cfg, raises=False) if p.severity == "error"]
    assert problems == []


CASES = {
    "L(T.ResizeShortestEdge)([640, 800], 1333, 'choice')": (
        "L(T.ResizeShortestEdge)(short_edge_length=[640, 800], max_size=1333, sample_style='choice')"
    ),
    "L(T.RandomFlip)(0.5, horizontal=True)": "L(T.RandomFlip)(prob=0.5, horizontal=True)",
    "OmegaConf.create()": "Node()",
    "OmegaConf.create({'a': 1})": "Node({'a': 1})",
    "OmegaConf.create([1, 2])": "[1, 2]",
    "DictConfig({'a': OmegaConf.create()})": "Node({'a': Node()})",
    "'detectron2://a.pkl?matching_heuristics=True'": '"detectron2://a.pkl"',
    "L(COCOEvaluator)(dataset_name='${..test.dataset.names}')": (
        'L(COCOEvaluator)(dataset="${..test.dataset}")'
    ),
    "L(get_default_optimizer_params)()": 'L(get_default_optimizer_params)(model="${model}")',
    "L(get_default_optimizer_params)(base_lr=1)": (
        'L(get_default_optimizer_params)(model="${model}", base_lr=1)'
    ),
    "partial(get_vit_lr_decay_rate, num_layers=12)  # café": (
        "partial(get_vit_lr_decay_rate, num_layers=12)  # café"
    ),
}
HEAD = """\
from functools import partial
from omegaconf import DictConfig, OmegaConf
import detectron2.data.transforms as T
from detectron2.config import LazyCall as L
from detectron2.evaluation import COCOEvaluator
from detectron2.modeling.backbone.vit import get_vit_lr_decay_rate
from detectron2.solver.build import get_default_optimizer_params
"""


@pytest.mark.parametrize("old", CASES)
def test_expressions(tmp_path, old):
    (tmp_path / "c.py").write_text(f"{HEAD}x = {old}\n", encoding="utf-8")
    new = convert(tmp_path / "c.py").text.splitlines()
    new = next(line for line in new if line.startswith("x = "))
    assert new == f"x = {CASES[old]}"
    ast.parse(new)


def test_names_without_a_counterpart_are_all_named_with_their_lines(tree, tmp_path):
    (tmp_path / "c.py").write_text(
        "from detectron2.data import MetadataCatalog\n"
        "from detectron2.layers import NoSuchLayer, Conv2d, Unused\n"
        "x = MetadataCatalog.get('a')\ny = NoSuchLayer\n"
    )
    with pytest.raises(ConvertError) as info:
        convert(tmp_path / "c.py")
    assert str(info.value).splitlines() == [
        f"{tmp_path}/c.py:1: detectron2.data.MetadataCatalog has no counterpart in lazycfg",
        f"{tmp_path}/c.py:2: detectron2.layers.NoSuchLayer has no counterpart in lazycfg",
    ]


def test_a_data_set_of_the_programs_own_catalog_is_to_be_filled_in(tree, tmp_path):
    result = converted(tree, "eva/projects/ViTDet/configs/common/o365_loader_lsj.py")
    assert "dataset=REQUIRED," in result.text
    [where] = [remark for remark in result.remarks if "of the program's own catalog" in remark]
    assert "o365_loader_lsj.py:12" in where
    assert "L(CocoDataset)" in where


def test_arguments_that_ours_do_not_take_are_said(tree):
    result = converted(
        tree,
        "eva/projects/ViTDet/configs/eva2_o365_to_coco/"
        "eva2_o365_to_coco_cascade_mask_rcnn_vitdet_l_8attn_1536_lrd0p8.py",
    )
    assert "model.backbone.net.xattn: ViT takes no argument 'xattn'" in result.remarks
    assert any("xformers is not installed" in remark for remark in result.remarks)


def test_a_package_of_the_program_in_the_current_folder_is_said(tmp_path, monkeypatch):
    (tmp_path / "own_parts").mkdir()
    (tmp_path / "own_parts" / "heads.py").write_text("class Head: pass\n")
    (tmp_path / "a.py").write_text(
        "from detectron2.config import LazyCall as L\nfrom own_parts.heads import Head\nmodel = L(Head)()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert convert(tmp_path / "a.py").remarks == (
        "'own_parts' is in the current folder: start with python -m lazycfg, or set PYTHONPATH=.; "
        "what it has was not checked",
    )


def test_the_common_files_of_a_checkout_of_detrex_come_with_it(tree):
    result = converted(tree, "detrex/projects/dino/configs/dino-resnet/dino_r50_4scale_12ep.py")
    assert 'train = LazyConfig.load_rel("detrex/config/configs/common/train.py").train' in result.text
    assert "from lazycfg import LazyConfig" in result.text
    assert "get_config" not in result.text
    assert "detrex/config/configs/common/data/coco_detr.py" in result.files
    assert any("detrex is not installed" in remark or "named 'detrex'" in remark for remark in result.remarks)


def test_one_call_in_two_places_is_said(tmp_path):
    (tmp_path / "c.py").write_text(
        "from detectron2.config import LazyCall as L\nimport torch.nn as nn\n"
        "norm = L(nn.ReLU)()\nmodel = L(nn.Sequential)(L(nn.Sequential)(norm), norm)\n"
        "other = [L(nn.ReLU)()] * 2\n"
    )
    said = [remark for remark in convert(tmp_path / "c.py").remarks if "one object" in remark]
    assert [remark.partition(" are ")[0] for remark in said] == [
        "model._args_.0._args_.0 and model._args_.1",
        "other.0 and other.1",
    ]


def test_the_schedule_is_that_of_the_old_file(tree, tmp_path):
    result = converted(tree, "detectron2/configs/common/coco_schedule.py")
    cfg = LazyConfig.load(written(result, tmp_path, "s.py"))
    schedule = instantiate(cfg.lr_multiplier_3x)
    assert (schedule(0.5), schedule(0.8), schedule(0.99)) == (1.0, 0.1, pytest.approx(0.01))


def test_the_command_writes_the_files_that_it_needs(tree, tmp_path, capsys):
    from lazycfg.cli import main

    source = tree / "detectron2/projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_b_100ep.py"
    assert main(["convert", str(source), "-o", str(tmp_path / "out.py")]) == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.py")) == [
        "common/coco_loader_lsj.py",
        "mask_rcnn_vitdet_b_100ep.py",
        "out.py",
    ]
    cfg = LazyConfig.load(tmp_path / "out.py")
    assert cfg.dataloader.train.mapper.image_format == "RGB"
    (tmp_path / "out.py").unlink()
    assert main(["convert", str(source), "-o", str(tmp_path / "out.py")]) != 0
    assert "mask_rcnn_vitdet_b_100ep.py" in capsys.readouterr().err
    assert not (tmp_path / "out.py").exists()
