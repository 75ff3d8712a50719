"""The files that are written for YAML configs: what is in them, and that another process reads the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from writing_yaml import ALL, write_yaml

from lazycfg import LazyConfig
from lazycfg.convert.yacs import Keys, convert, read_yaml, translate, translated, with_overrides
from lazycfg.inspection.equality import equal_configs

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
WHOLE = [name for name in ALL if not name.rpartition("/")[2].startswith("Base")]


def test_a_config_that_is_in_the_zoo_is_its_parts_and_a_few_edits(tmp_path):
    text = convert(write_yaml("LVISv1-InstanceSegmentation/mask_rcnn_R_50_FPN_1x", tmp_path)).text
    assert text == (
        '"""LVISv1-InstanceSegmentation__mask_rcnn_R_50_FPN_1x.yaml of detectron2, converted by lazycfg."""\n'
        "\n"
        "from lazycfg.model_zoo.common.data.lvis_v1 import dataloader\n"
        "from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model\n"
        "from lazycfg.model_zoo.common.optim import SGD as optimizer\n"
        "from lazycfg.model_zoo.common.schedules import lr_multiplier_2x as lr_multiplier\n"
        "from lazycfg.model_zoo.common.train import train\n"
        "\n"
        "model.backbone.bottom_up.freeze_at = 2\n"
        "model.roi_heads.num_classes = 1203\n"
        "model.roi_heads.box_predictor.update(test_score_thresh=0.0001, test_topk_per_image=300)\n"
        "\n"
        "train.update(\n"
        '    init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl",\n'
        "    max_iter=180000,\n"
        "    eval_period=0,\n"
        ")\n"
    )


def test_what_all_elements_of_a_list_need_alike_is_a_loop(tmp_path):
    path, written = write_yaml("Misc/cascade_mask_rcnn_R_50_FPN_1x", tmp_path), tmp_path / "out.py"
    overrides = ["MODEL.ROI_BOX_HEAD.NORM", "GN", "MODEL.ROI_BOX_HEAD.NUM_CONV", "1"]
    written.write_text(convert(path, overrides).text)
    assert (
        'for _box_head in model.roi_heads.box_heads:\n    _box_head.update(conv_dims=[256], conv_norm="GN")\n'
    ) in written.read_text()
    expected = translate(with_overrides(read_yaml(path), overrides))
    assert equal_configs(LazyConfig.load(str(written)), expected)


def test_the_file_is_the_translated_tree(tmp_path):
    path = write_yaml("Misc/panoptic_fpn_R_101_dconv_cascade_gn_3x", tmp_path)
    written = tmp_path / "out.py"
    written.write_text(convert(path).text)
    assert equal_configs(LazyConfig.load(str(written)), translate(read_yaml(path)))


READ = """
import json, sys
from lazycfg import LazyConfig
from lazycfg.convert.yacs import read_yaml, translate
from lazycfg.inspection.equality import equal_configs
bad = []
for name in json.loads(sys.argv[2]):
    path = f"{sys.argv[1]}/{name}"
    if not equal_configs(LazyConfig.load(path + ".py"), translate(read_yaml(path + ".yaml"))):
        bad.append(name)
print(bad or "none")
"""


@pytest.mark.slow
def test_every_written_file_is_the_translated_tree_in_another_process(tmp_path):
    names = []
    for name in WHOLE:
        path = write_yaml(name, tmp_path)
        path.with_suffix(".py").write_text(convert(path).text)
        names.append(path.stem)
    command = [sys.executable, "-c", READ, str(tmp_path), json.dumps(names)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "none\n"


def test_written_files_are_sorted_and_have_no_undefined_names(tmp_path):
    for name in WHOLE[::7]:
        path = write_yaml(name, tmp_path)
        path.with_suffix(".py").write_text(convert(path).text)
    # F401: `dataloader` and the like are imported to be there
    options = ["--config", str(PYPROJECT), "--select", "F,I", "--ignore", "F401"]
    command = [sys.executable, "-m", "ruff", "check", *options]
    found = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_what_nothing_reads_is_said(tmp_path):
    path = write_yaml("COCO-Detection/retinanet_R_50_FPN_1x", tmp_path)
    found = translated(
        Keys({**read_yaml(path), "GLOBAL": {"HACK": 2.0}, "TEST": {"EXPECTED_RESULTS": [["bbox"]]}}), {}
    )
    assert any("GLOBAL.HACK" in remark for remark in found.remarks)
    assert any("TEST.EXPECTED_RESULTS" in remark for remark in found.remarks)
