"""The keys of detectron2: reading files, versions, mistakes, and that no key is passed over in silence."""

import copy
from pathlib import Path

import pytest
from writing_yaml import write_yaml

from lazycfg import LazyConfig
from lazycfg.cli.main import main
from lazycfg.convert import convert as convert_file
from lazycfg.convert.yacs import (
    ConvertError,
    Keys,
    convert,
    core_defaults,
    defaults,
    flat,
    read_yaml,
    recognises,
    translate,
    translated,
    with_overrides,
)
from lazycfg.convert.yacs.reading import calculated
from lazycfg.inspection.equality import equal_configs

FPN = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x"


def keys_of(name, folder, *overrides):
    return with_overrides(read_yaml(write_yaml(name, folder)), overrides)


def test_bases_are_read_beside_the_file_at_home_and_anywhere(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "base.yaml").write_text("SOLVER: {BASE_LR: 1e-3, STEPS: '(5, 6)'}\nSEED: 1\n")
    (tmp_path / "middle.yaml").write_text("_BASE_: ~/base.yaml\nSEED: 2\n")
    (tmp_path / "top.yaml").write_text(f"_BASE_: {tmp_path}/middle.yaml\nOUTPUT_DIR: out\n")
    (tmp_path / "beside.yaml").write_text("_BASE_: top.yaml\n")
    expected = {"SOLVER": {"BASE_LR": 0.001, "STEPS": (5, 6)}, "SEED": 2, "OUTPUT_DIR": "out"}
    assert read_yaml(tmp_path / "beside.yaml") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_BASE_: mine.yaml", "leads back"),
        ("_BASE_: missing.yaml", "missing.yaml, the _BASE_ of"),
        ("_BASE_: Base-RCNN-FPN.yaml", "put detectron2's file of this name there"),
        ("_BASE_: [a.yaml, b.yaml]", "the path of one file"),
        ("_BASE_: https://example.com/a.yaml", "no local file"),
        ("A: !!python/object/apply:os.system ['true']", "line 1: the tag !!python/object/apply:os.system"),
        ("A: !!python/object/apply:eval ['__import__(\"os\").getcwd()']", "no calculation"),
        ("A: !!python/name:os.system ''", "would run code"),
        ("A: [", "is no YAML"),
        ("- 1", "holds a list"),
        ("MODEL: {[1]: 2}", "no YAML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConvertError, match=message.replace("(", r"\(")):
        read_yaml(file)


def test_calculations_and_tuples_are_read_but_nothing_is_run(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        'A: !!python/object/apply:eval ["[int(x * 0.1 * 640) for x in range(5, 16)]"]\n'
        "B: !!python/tuple [1, 2]\n"
    )
    assert read_yaml(file) == {"A": [int(x * 0.1 * 640) for x in range(5, 16)], "B": (1, 2)}
    sizes = "[[x, x * 2**(1.0/3), x * 2**(2.0/3) ] for x in [32, 64, 128, 256, 512 ]]"
    assert calculated(sizes) == [[x, x * 2 ** (1 / 3), x * 2 ** (2 / 3)] for x in (32, 64, 128, 256, 512)]
    for bad in ("9**9**9", "range(10**9)", "[1] * 10**9", "open('x')", "(lambda: 1)()", "().__class__"):
        with pytest.raises(ConvertError):
            calculated(bad)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["SOLVER.BASE_LRR", "1.0"], r"unknown key SOLVER.BASE_LRR; did you mean 'SOLVER.BASE_LR'"),
        (["MODEL.RPN.NUM_CLASSES", "3"], "unknown key MODEL.RPN.NUM_CLASSES"),
        (["SOLVER.BASE_LRR", "1.0"], r"'SOLVER.BASE_LR'\? Nothing"),
        (["MODEL.GATE.REDUCTION", "4"], r"unknown key MODEL.GATE.REDUCTION\. Nothing"),
        (
            ["MODEL.GATE.REDUCTION", "4", "MODEL.GATE.LOSS", "0.5"],
            r"unknown keys:\n  MODEL.GATE.REDUCTION\n  MODEL.GATE.LOSS\nNothing here would obey them",
        ),
        (["SOLVER", "3"], "SOLVER: is a section"),
        (["SOLVER.BASE_LR.X", "3"], "SOLVER.BASE_LR: is one value"),
        (["SOLVER.MAX_ITER", "many"], "SOLVER.MAX_ITER: is 'many', but should be of the type int"),
        (["SOLVER.MAX_ITER"], "has none"),
        (["MODEL.META_ARCHITECTURE", "MyRCNN"], "META_ARCHITECTURE: unknown name 'MyRCNN'"),
        (["MODEL.BACKBONE.NAME", "build_swin_backbone"], "BACKBONE.NAME: unknown name"),
        (
            ["MODEL.ROI_HEADS.NAME", "MeshRCNNROIHeads"],
            "begin with a file of lazycfg/projects/meshrcnn/configs",
        ),
        (["MODEL.RPN.IN_FEATURES", "['p2', 'p9']"], "RPN.IN_FEATURES: the backbone gives"),
        (["MODEL.ANCHOR_GENERATOR.SIZES", "[[32], [64]]"], "SIZES: is for 2 feature maps"),
        (["DATASETS.TRAIN", "('my_train',)"], r"dataloader.train.dataset.dataset = L\(CocoDataset\)"),
        (["DATASETS.TEST", "('my_test',)"], r"dataloader.test.dataset = L\(CocoDataset\)"),
        (["DATASETS.TEST", "my_test"], "no list of names|of the type tuple"),
        (["SOLVER.LR_SCHEDULER_NAME", "StepLR"], "LR_SCHEDULER_NAME: unknown name"),
        (["MODEL.ROI_HEADS.NAME", "CascadeROIHeads"], "CLS_AGNOSTIC_BBOX_REG: a cascade needs it"),
        (["INPUT.RANDOM_FLIP", "both"], "INPUT.RANDOM_FLIP"),
        (["VERSION", "3"], "VERSION: 3 is not known"),
    ],
)
def test_a_mistake_names_the_key(tmp_path, overrides, message):
    with pytest.raises(ConvertError, match=message):
        translate(keys_of(FPN, tmp_path, *overrides))


OWN_BASE = """\
MODEL:
  META_ARCHITECTURE: MyRCNN
  BACKBONE: {NAME: build_my_backbone}
  GATE: {REDUCTION: 4}
SOLVER: {MAX_ITER: many}
"""
OWN = """\
_BASE_: base.yaml
MODEL:
  ROI_HEADS:
    NAME: ScaledROIHeads
  GATE:
    LOSS_WEIGHT: 0.5
DATASETS:
  TRAIN: ("mine_a", "coco_2017_train", "mine_b")
  TEST: ("mine_val",)
"""


def test_all_that_is_not_known_is_told_at_once_with_its_line(tmp_path):
    (tmp_path / "base.yaml").write_text(OWN_BASE)
    (tmp_path / "own.yaml").write_text(OWN)
    with pytest.raises(ConvertError) as info:
        convert(tmp_path / "own.yaml", ["MODEL.RPN.HEAD_NAME", "MyHead", "SOLVER.LR_SCHEDULER_NAME", "Mine"])
    base, own = tmp_path / "base.yaml", tmp_path / "own.yaml"
    said = str(info.value)
    for line in (
        f"{base}:5: SOLVER.MAX_ITER: is 'many', but should be of the type int",
        f"  {base}:4: MODEL.GATE.REDUCTION",
        f"  {own}:6: MODEL.GATE.LOSS_WEIGHT",
        f"{base}:2: MODEL.META_ARCHITECTURE: unknown name 'MyRCNN'",
        f"{base}:3: MODEL.BACKBONE.NAME: unknown name 'build_my_backbone'",
        f"{own}:4: MODEL.ROI_HEADS.NAME: unknown name 'ScaledROIHeads'; did you mean 'CascadeROIHeads'",
        "--opts: MODEL.RPN.HEAD_NAME: unknown name 'MyHead'",
        f"{own}:8: DATASETS.TRAIN: there is no data set 'mine_a', 'mine_b' among those of detectron2",
        f"{own}:9: DATASETS.TEST: there is no data set 'mine_val' among those of detectron2",
        "--opts: SOLVER.LR_SCHEDULER_NAME: unknown name 'Mine'",
    ):
        assert any(told.startswith(line) for told in said.splitlines()), line
    assert said.splitlines()[-1].startswith(
        "convert with known ones, --opts MODEL.META_ARCHITECTURE NAME MODEL.B"
    )
    assert said.count("convert with") == 1


def test_keys_of_a_project_can_be_left_out_and_are_named(tmp_path, capsys):
    path, written = write_yaml(FPN, tmp_path), tmp_path / "out.py"
    own = "MODEL:\n  GATE: {LOSS: 0.5, DEEP: {WIDTH: 3}}\n  TRIDENT: 7"
    path.write_text(path.read_text().replace("MODEL:", own, 1) + "MINE: [1]\n")
    command = ["convert", str(path), "-o", str(written)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "(--ignore MODEL.GATE --ignore MINE)" in said
    assert "MODEL.TRIDENT: is a section" in said
    assert main([*command, "--ignore", "MODEL.GATE", "--ignore", "MI*", "--ignore", "MODEL.TRIDENT"]) == 0
    left_out = "MODEL.GATE.LOSS = 0.5, MODEL.GATE.DEEP.WIDTH = 3, MODEL.TRIDENT = 7, MINE = [1]"
    assert left_out in " ".join(capsys.readouterr().err.split())
    assert left_out in " ".join(written.read_text().replace("#", "").split())
    plain = translate(keys_of(FPN, tmp_path))
    assert equal_configs(LazyConfig.load(str(written)), plain)

    own = {**keys_of(FPN, tmp_path), "MINE": 1}
    assert equal_configs(translate(own, ignore=["MINE"]), plain)
    with pytest.raises(ConvertError, match=r"--ignore SOLVER\.\*: only known keys match, which are obeyed"):
        translate(own, ignore=["MINE", "SOLVER.*"])
    with pytest.raises(ConvertError, match=r"--ignore MIN: no key here matches; did you mean 'MINE'\?"):
        translate(own, ignore=["MIN"])
    with pytest.raises(ConvertError, match="SOLVER: is a section"):
        translate({"SOLVER": 3}, ignore=["SOLVER"])
    with pytest.raises(ConvertError, match="--ignore is for keys of YAML configs of detectron2"):
        convert_file(Path(__file__), format="lazy", ignore=["A"])


def test_what_is_wrong_only_beside_known_names_is_not_told(tmp_path):
    given = keys_of(FPN, tmp_path, "MODEL.ROI_HEADS.NAME", "MyHeads", "MODEL.RPN.IN_FEATURES", "['p9']")
    with pytest.raises(ConvertError) as info:
        translate({**given, "MODEL": {**given["MODEL"], "META_ARCHITECTURE": "Mine"}})
    assert "unknown name 'Mine'" in str(info.value)
    assert "the backbone gives" not in str(info.value)


def test_keys_of_version_1_are_renamed():
    old = {
        "MODEL": {
            "WEIGHT": "w.pkl",
            "RPN": {"ANCHOR_SIZES": [[16]], "ANCHOR_ASPECT_RATIOS": [[1.0]]},
            "RETINANET": {"ANCHOR_SIZES": [[8]], "ANCHOR_STRIDES": [8]},
            "ROI_HEADS": {"NMS": 0.4, "SCORE_THRESH": 0.1},
        },
        "TEST": {"DETECTIONS_PER_IMG": 7, "AUG_ON": False},
        "DATASETS": {"TRAIN": ("coco_2017_train",), "TEST": ("coco_2017_val",)},
    }
    cfg = translate(old)
    predictor = cfg.model.roi_heads.box_predictor
    assert (predictor.test_nms_thresh, predictor.test_score_thresh) == (0.4, 0.1)
    assert predictor.test_topk_per_image == 7
    assert cfg.train.init_checkpoint == "w.pkl"
    assert cfg.model.proposal_generator.anchor_generator.sizes == [[16]]
    assert "WEIGHT" in old["MODEL"]


def test_data_sets_can_be_given_as_nodes(tmp_path):
    from lazycfg import LazyCall as L
    from lazycfg.data import CocoDataset, LVISDataset
    from lazycfg.evaluation import LVISEvaluator

    mine = L(CocoDataset)(json_file="a.json", image_root="a")
    rare = L(LVISDataset)(json_file="b.json", image_root="b")
    keys = keys_of(FPN, tmp_path, "DATASETS.TRAIN", "('mine',)", "DATASETS.TEST", "('rare',)")
    cfg = translate(keys, {"mine": mine, "rare": rare})
    assert cfg.dataloader.train.dataset.dataset == mine
    assert cfg.dataloader.train.dataset.dataset is not mine
    assert cfg.dataloader.test.dataset == rare
    assert cfg.dataloader.evaluator._target_ is LVISEvaluator


def test_the_command_writes_a_file_and_says_what_nothing_reads(tmp_path, capsys):
    source, written = write_yaml("COCO-Detection/rpn_R_50_FPN_1x", tmp_path), tmp_path / "mine.py"
    assert recognises(source)
    assert main(["convert", str(source), "-o", str(written), "--opts", "SOLVER.BASE_LR", "0.01"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{written}\n"
    assert "MODEL.ROI_BOX_HEAD.NUM_FC" in said.err
    assert "MODEL.ROI_BOX_HEAD.NUM_FC" in written.read_text()
    assert "optimizer.lr = 0.01" in written.read_text()
    assert main(["convert", str(source), "-o", str(written)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(source), "-o", str(written), "--force"]) == 0
    assert "optimizer.lr" not in written.read_text()
    assert main(["convert", str(source)]) == 0
    assert "from lazycfg.model_zoo" in capsys.readouterr().out
    assert main(["convert", str(source), "SOLVER.BASE_LRR", "1", "-o", str(tmp_path / "no.py")]) == 2
    assert not (tmp_path / "no.py").exists()
    assert "SOLVER.BASE_LRR" in capsys.readouterr().err
    (tmp_path / "other.yaml").write_text("a: 1\n")
    assert main(["convert", str(tmp_path / "other.yaml")]) == 2
    assert "in none of the formats" in capsys.readouterr().err


OTHER = {
    "INPUT.CROP.TYPE": "absolute",
    "INPUT.FORMAT": "RGB",
    "INPUT.MASK_FORMAT": "bitmask",
    "INPUT.RANDOM_FLIP": "none",
    "MODEL.FPN.FUSE_TYPE": "avg",
    "MODEL.FPN.NORM": "SyncBN",
    "MODEL.RESNETS.DEPTH": 152,
    "MODEL.RESNETS.NORM": "BN",
    "MODEL.RPN.BBOX_REG_LOSS_TYPE": "giou",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": "giou",
    "SEED": 3,
    "SOLVER.LR_SCHEDULER_NAME": "WarmupCosineLR",
    "SOLVER.STEPS": (100,),
    "SOLVER.WARMUP_METHOD": "constant",
    "SOLVER.WEIGHT_DECAY_BIAS": 0.5,
}


def another(key, value):
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.07
    if isinstance(value, str):
        return f"{value}X"
    return type(value)(another("", element) for element in value) if value else None


@pytest.mark.slow
@pytest.mark.parametrize("keypoints", ["True", "False"])
def test_no_key_is_passed_over_in_silence(tmp_path, keypoints):
    """Another value of any key changes the config, or is refused, or it is said that nothing reads it."""
    given = keys_of(FPN, tmp_path, "MODEL.KEYPOINT_ON", keypoints)
    before = translated(Keys(given), {}).config
    values = {**dict(flat(core_defaults())), **dict(flat(given))}
    silent = []
    for key, value in values.items():
        other = another(key, value)
        if other is None:
            continue
        changed = with_overrides(
            copy.deepcopy(given), [key, repr(other) if type(other) is not str else other]
        )
        try:
            found = translated(Keys(changed), {})
        except ConvertError:
            continue
        if equal_configs(found.config, before) and not any(key in remark for remark in found.remarks):
            silent.append(key)
    assert not silent


def test_the_defaults_are_a_copy():
    defaults()["MODEL"]["MASK_ON"] = True
    assert defaults()["MODEL"]["MASK_ON"] is False
