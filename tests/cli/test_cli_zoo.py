"""The commands on whole files: ls, copy, --version, --set-file, and the sweep of many runs."""

import pytest

from lazycfg.cli.main import main

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = main(list(words))
        except SystemExit as leaving:
            status = leaving.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_version(run):
    status, out, _ = run("--version")
    assert status == 0
    assert out.startswith("lazycfg ")


def test_ls(run):
    status, out, _ = run("ls")
    assert status == 0
    assert ZOO in out.splitlines()
    assert "common/" not in out
    assert run("ls", "vitdet", "mask_rcnn")[1].splitlines() == [
        name for name in out.splitlines() if "ViTDet" in name and "mask_rcnn" in name
    ]
    assert run("ls", "nonesuch") == (
        2,
        "",
        "lazycfg: no config of the model zoo has 'nonesuch' in its name\n",
    )


def test_copy(run, tmp_path):
    assert run("copy", ZOO) == (
        0,
        "wrote mask_rcnn_R_50_FPN_1x.py; edit it, then: lazycfg check mask_rcnn_R_50_FPN_1x.py\n",
        "",
    )
    assert "from lazycfg.model_zoo.common" in (tmp_path / "mask_rcnn_R_50_FPN_1x.py").read_text()
    assert run("diff", ZOO, "mask_rcnn_R_50_FPN_1x.py") == (0, "no differences\n", "")
    assert "is there already" in run("copy", ZOO)[2]
    assert "there is no folder" in run("copy", ZOO, "new/x.py")[2]
    assert "is not in the model zoo" in run("copy", "mask_rcnn_R_50_FPN_1x.py", "y.py")[2]


def test_copy_writes_no_file_that_is_not_meant(run, tmp_path):
    assert "there is no folder new" in run("copy", ZOO, "new/")[2]
    for word in ("new", "train.max_iter=5", "x.yaml"):
        status, _, said = run("copy", ZOO, word)
        assert status == 2
        assert f"{word} is no .py file" in said
    assert "copy takes no --set-file" in run("copy", ZOO, "x.py", "--set-file", "y.py")[2]
    assert list(tmp_path.iterdir()) == []


def test_set_file(run, tmp_path):
    (tmp_path / "base.py").write_text("a = dict(b=1, c=2)\nd = 3\n")
    (tmp_path / "exp.yaml").write_text("a:\n  b: 10\ne: 4\n")
    assert run("get", "base.py", "a.b", "--set-file", "exp.yaml")[1] == "10\n"
    assert run("get", "base.py", "a.c", "--set-file", "exp.yaml")[1] == "2\n"
    assert run("get", "base.py", "a.b", "a.b=11", "--set-file", "exp.yaml")[1] == "11\n"
    assert run("diff", "base.py", "--set-file", "exp.yaml")[1] == "+ e = 4\n~ a.b: 1 -> 10\n"
    assert "no config file 'none.py'" in run("get", "base.py", "a.b", "--set-file", "none.py")[2]


def test_a_part_of_a_file_is_shown_as_it_is_loaded(run, tmp_path):
    (tmp_path / "base.py").write_text("a = dict(b=1)\n")
    (tmp_path / "other.py").write_text(
        "from torch import nn\nfrom lazycfg import LazyCall as L\nx = L(nn.ReLU)()\n"
    )
    assert run("show", "base.py", "a.b=file:other.py#x")[1] == "a:\n  b: ReLU()\n"


def test_two_runs_of_one_config_are_named(run, tmp_path):
    (tmp_path / "base.py").write_text("a = dict(b=1, c=2)\n")
    status, _, err = run("sweep", "base.py", "a.b=0.5,5e-1,1.0")
    assert (status, err) == (2, "lazycfg: two runs are the same: a.b=0.5 and a.b=5e-1\n")
    assert len(run("sweep", "base.py", "a.b=1,2,3", "a.c=4,5")[1].splitlines()) == 6


def test_matches_are_those_of_the_merged_config(run, tmp_path):
    (tmp_path / "base.py").write_text("a = dict(norm=1)\n")
    (tmp_path / "more.yaml").write_text("b:\n  norm: 2\n")
    status, out, err = run("show", "base.py", "--matches", "--set-file", "more.yaml", "**.norm=3")
    assert (status, err) == (0, "")
    assert "# **.norm=3: a.norm\n# **.norm=3: b.norm\n" in out


def test_a_sweep_over_a_key_with_an_equals_sign(run, tmp_path):
    (tmp_path / "base.py").write_text("__config__ = {'x=y': 1, 'a': 2}\n")
    status, out, err = run("sweep", "base.py", '["x=y"]=1,3', "a=4,5")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 4
    assert run("sweep", "base.py", '["x=y"]=3,3')[0] == 2
