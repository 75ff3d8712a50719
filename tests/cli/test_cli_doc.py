"""`lazycfg doc` of settings: the comment in the file that wrote them."""

import subprocess
import sys

import pytest

from lazycfg.cli.main import main
from lazycfg.inspection.comments import comment_of
from lazycfg.inspection.explain import explain


@pytest.fixture
def doc(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        assert main(["doc", *words]) == 0
        return capsys.readouterr().out

    return call


def test_a_setting_of_every_training(doc):
    meaning = "Optimizer steps to train. The learning rate schedule stretches with it."
    assert doc("train.max_iter") == f"train.max_iter = 90000\n\n  {meaning}\n"
    assert "Mixed precision" in doc("train.amp.dtype")
    assert "= 5\n" in doc("train.max_iter", "train.max_iter=5")


def test_of_a_config(doc):
    assert "Optimizer steps to train." in doc("quickstart/mask_rcnn_shapes", "train.max_iter")
    with open("mine.py", "w") as file:
        file.write(
            "from lazycfg import LazyCall as L\n"
            "# Sides of the image\n# in pixels.\nsize = 3\n\n# of nothing\n\nother = 1  # noqa: F841\n"
            "train = dict(\n    max_iter=10,  # few: this is a trial\n    eval_period=2,\n)\n"
            "# wide enough\nmodel = L(dict)(width=size)\n"
            "model.height = 2  # not high\n# about both\nmodel.update(a=1, b=2)\n"
        )
    assert doc("mine.py", "size") == "size = 3\n\n  Sides of the image in pixels.\n"
    assert doc("mine.py", "other") == "other = 1\n"
    assert "few: this is a trial" in doc("mine.py", "train.max_iter")
    # no comment of its own: that of the setting
    assert "Steps between evaluations" in doc("mine.py", "train.eval_period")
    assert "wide enough" in doc("mine.py", "model.width")
    assert "not high" in doc("mine.py", "model.height")


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ("common/data/coco_json", "train_json test_json train_images test_images"),
        ("common/data/panoptic_json", "train_json train_panoptic_json test_panoptic_root"),
        ("common/data/sem_seg_folders", "train_images test_labels classes image_ext"),
        ("common/data/own_folder", "path train test_path test format on_error"),
        ("quickstart/mask_rcnn_coco_json", "train_json"),
        ("quickstart/panoptic_small", "train_panoptic_root"),
    ],
)
def test_what_a_user_fills_in_for_own_data_has_a_text(doc, config, keys):
    for key in keys.split():
        first, *text = doc(config, f"data.{key}").splitlines()
        assert first.startswith(f"data.{key} = ")
        assert text, key


def test_a_saved_config_has_no_comments_of_its_own(doc):
    with open("saved.yaml", "w") as file:
        file.write("train:\n  max_iter: 3\n  mine: 4\n")
    assert "Optimizer steps to train." in doc("saved.yaml", "train.max_iter")
    assert doc("saved.yaml", "train.mine") == "train.mine = 4\n"


def test_a_misspelt_setting(capsys):
    assert main(["doc", "train.max_itr"]) == 2
    assert "did you mean 'max_iter'?" in capsys.readouterr().err


def test_a_file_that_is_gone_has_no_comments(tmp_path):
    from lazycfg import LazyConfig

    file = tmp_path / "gone.py"
    file.write_text("# said\nx = dict(a=1)\n")
    cfg = LazyConfig.load(file)
    file.unlink()
    assert comment_of(explain(cfg, "x.a")) == ""


@pytest.mark.parametrize("words", [("doc", "train.max_iter"), ("train", "--help"), ("predict", "--help")])
def test_torch_is_not_imported_to_read(words):
    code = (
        "import sys\nfrom lazycfg.cli import main\n"
        f"try: main({list(words)!r})\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
