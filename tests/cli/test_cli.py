"""The `lazycfg` command, as it is typed."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from lazycfg.cli.commands.completion import candidates
from lazycfg.cli.commands.sweep import product_of
from lazycfg.cli.common import load_config
from lazycfg.cli.main import main
from lazycfg.config.editing.overrides import apply_overrides
from lazycfg.config.lazy import LazyConfig
from lazycfg.inspection.hashing import hash_of

CONFIG = """
from fractions import Fraction
from lazycfg import LazyCall as L

shared = L(Fraction)(numerator=1, denominator=2)
model = L(dict)(a=shared, b=L(dict)(c=shared, norm="BN"), on=True)
train = dict(max_iter=10, out="x", steps=[1, 2])
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cfg.py").write_text(CONFIG)
    return "cfg.py"


@pytest.fixture
def run(capsys):
    """Run a command; returns (status, output, errors)."""

    def call(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_show(config, run):
    status, text, _ = run("show", config, "train.max_iter=5")
    assert status == 0
    assert "shared: Fraction &1" in text
    assert "a: *1 shared" in text
    assert "max_iter: 5" in text
    assert "steps: [1, 2]" in text
    assert "norm" not in run("show", config, "--depth", "1")[1]
    assert run("show", config, "train")[1].startswith("max_iter: 10")
    assert "\x1b[" in run("show", config, "--colour", "always")[1]


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_show_and_save_in_a_format(suffix, config, run, tmp_path):
    shown = run("show", config, "train.max_iter=5", "--format", suffix)[1]
    assert run("save", config, f"out.{suffix}", "train.max_iter=5")[:2] == (0, f"out.{suffix}\n")
    assert (tmp_path / f"out.{suffix}").read_text() == shown
    assert LazyConfig.load(f"out.{suffix}").train.max_iter == 5
    assert "max_iter: 5" in run("show", f"out.{suffix}")[1]


def test_show_what_wildcards_match(config, run):
    assert "# **.norm=GN: model.b.norm" in run("show", config, "--matches", "**.norm=GN")[1]


def test_get(config, run):
    assert run("get", config, "train.max_iter")[:2] == (0, "10\n")
    assert run("get", config, "train.out")[1] == "x\n"
    assert run("get", config, "train.steps", "train.steps+=[3]")[1] == "[1, 2, 3]\n"
    assert "Fraction" in run("get", config, "model.a")[1]


def test_explain(config, run, tmp_path):
    text = run("explain", config, "train.max_iter", "train.max_iter=7")[1]
    assert "override 1 'train.max_iter=7'" in text
    assert f"{tmp_path / 'cfg.py'}:5" in run("explain", config, "shared.numerator")[1]


def test_diff(config, run, tmp_path):
    assert run("diff", config, config)[0] == 0
    status, text, _ = run("diff", config, "train.max_iter=3")
    assert status == 1
    assert "train.max_iter: 10 -> 3" in text
    (tmp_path / "other.py").write_text(CONFIG.replace("max_iter=10", "max_iter=3"))
    status, text, _ = run("diff", config, "other.py", "--overrides")
    assert text.splitlines() == ["++train.max_iter=3"]


def test_grep(config, run):
    assert run("grep", "norm", config)[:2] == (0, "model.b.norm: 'BN'\n")
    assert run("grep", "-i", "BN$|bn'", config)[1] == "model.b.norm: 'BN'\n"
    assert run("grep", "nothing_like_it", config)[0] == 1


def test_check(config, run, tmp_path):
    assert run("check", config) == (0, "no problems found\n", "")
    (tmp_path / "bad.py").write_text(CONFIG.replace("numerator=1", "numreator=1"))
    status, text, _ = run("check", "bad.py")
    assert status == 1
    assert "did you mean 'numerator'" in text
    assert "1 problem" in text


def test_check_reports_a_model(run, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\nfrom lazycfg import LazyCall as L\n"
        "class Net(nn.Module):\n    def __init__(self, backbone):\n        super().__init__()\n"
        "        self.backbone = backbone\n"
        "model = L(Net)(backbone=L(nn.Conv2d)(in_channels=3, out_channels=8, kernel_size=1))\n"
    )
    status, text, _ = run("check", str(tmp_path / "net.py"), "--input-size", "64x32")
    assert status == 0
    assert "Net: 32 parameters, 32 of them trained" in text
    assert "output for one 64x32 image" in text
    assert "1x8x64x32" in text


def test_check_tells_where_values_are_needed(run, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch.nn as nn\nfrom lazycfg import LazyCall as L\n"
        "class Trunk(nn.Conv2d):\n    def forward(self, x):\n        return super().forward(x).max().item()\n"
        "class Net(nn.Module):\n    def __init__(self, backbone):\n        super().__init__()\n"
        "        self.backbone = backbone\n"
        "model = L(Net)(backbone=L(Trunk)(in_channels=3, out_channels=8, kernel_size=1))\n"
    )
    _, text, _ = run("check", str(tmp_path / "net.py"), "--input-size", "64x32")
    assert "Trunk.forward, line 5: what comes next depends on values" in text


def test_doc(run, tmp_path):
    (tmp_path / "d.py").write_text(
        "from lazycfg import LazyCall as L\n"
        'class Net:\n    """A net.\n\n    Args:\n        width (int): how wide it is,\n'
        "            in channels.\n"
        '        depth: how deep.\n    """\n    def __init__(self, width: int, depth: int = 3): pass\n'
        "model = L(Net)(width=2)\n"
    )
    text = run("doc", str(tmp_path / "d.py"), "model.width")[1]
    assert "width: int" in text
    assert "how wide it is, in channels." in text
    assert "value    2" in text
    assert "default  3" in run("doc", str(tmp_path / "d.py"), "model.depth", "+model.depth=4")[1]
    assert "A net." in run("doc", str(tmp_path / "d.py"), "model")[1]


def test_doc_of_what_is_not_there(run, tmp_path):
    (tmp_path / "d.py").write_text(
        "from collections import Counter, deque\nfrom lazycfg import LazyCall as L\n"
        "train = dict(max_iter=3)\nmodel = L(print)(L(dict)(a=1), 2)\n"
    )
    file = str(tmp_path / "d.py")
    code, _, error = run("doc", file, "train.max_itr")
    assert code == 2
    assert "did you mean 'max_iter'" in error
    assert "call of builtins.dict" in run("doc", file, "model.0")[1].replace("of dict", "of builtins.dict")
    assert run("doc", file, "model.1")[1] == "model.1 = 2\n"
    assert run("doc", file, "model.2")[0] == 2


def test_a_path_with_an_equals_sign_is_no_override(run, tmp_path):
    (tmp_path / "d.py").write_text('x = {"x=y": 1}\n')
    assert run("get", str(tmp_path / "d.py"), 'x["x=y"]')[:2] == (0, "1\n")
    assert run("get", str(tmp_path / "d.py"), 'x["x=y"]', 'x["x=y"]=2')[:2] == (0, "2\n")


def test_sweep(config, run, tmp_path):
    status, text, _ = run(
        "sweep", config, "train.max_iter=1,2", "train.steps=[1,2],[3]", "--command", "go run"
    )
    assert status == 0
    assert len(text.splitlines()) == 4
    assert text.splitlines()[0] == "go run --config-file cfg.py train.max_iter=1 'train.steps=[1,2]'"
    (tmp_path / "s.py").write_text(
        "def sweep():\n    for n in range(3):\n        yield [f'train.max_iter={n}']\n"
    )
    assert len(run("sweep", config, "--file", "s.py")[1].splitlines()) == 3
    status, _, errors = run("sweep", config, "train.max_itr=1,2")
    assert status == 2
    assert "did you mean 'max_iter'" in errors


def test_sweep_runs(config, run, tmp_path):
    (tmp_path / "job.py").write_text("import sys\nopen('log', 'a').write(' '.join(sys.argv[3:]) + '\\n')\n")
    assert run("sweep", config, "train.max_iter=1,2", "--run", "--command", "python3 job.py")[0] == 0
    assert (tmp_path / "log").read_text() == "train.max_iter=1\ntrain.max_iter=2\n"


def test_choices_of_a_sweep():
    assert list(product_of(["a=1,'x,y'", "~b"])) == [["a=1", "~b"], ["a='x,y'", "~b"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "nowhere.py"), "no config file"),
        (("show", "cgf.py"), "no config file"),
        (("get", "cfg.py", "train.itr"), "has no 'itr'"),
        (("show", "cfg.py", "train.max_itr=3"), "did you mean 'max_iter'"),
        (("get", "cfg.py"), "one config path"),
        (("grep", "(", "cfg.py"), "not a valid regular expression"),
        (("save", "cfg.py", "x.txt"), "unknown config format"),
    ],
)
def test_mistakes_are_told_without_a_traceback(words, message, config, run):
    status, _, errors = run(*words)
    assert status == 2
    assert message in errors
    assert "Traceback" not in errors


def test_completion(config, run):
    assert candidates("lazycfg sh") == ["show"]
    assert candidates("lazycfg show cf") == ["cfg.py"]
    assert candidates("lazycfg show cfg.py tr") == ["train."]
    assert candidates("lazycfg show cfg.py train.m") == ["train.max_iter="]
    assert candidates("lazycfg get cfg.py train.m") == ["train.max_iter"]
    assert candidates("lazycfg show cfg.py model.on=") == ["model.on=true", "model.on=false"]
    assert candidates("lazycfg show cfg.py train.max_iter=") == ["train.max_iter=10"]
    assert "COCO-Detection/" in candidates("lazycfg show ")
    assert main(["--complete", "lazycfg show broken.py x"]) == 0
    assert "complete -o default" in run("completion", "bash")[1]


def test_data_files_are_shown_without_importing_what_they_name(run, tmp_path):
    (tmp_path / "marker_module_q.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    (tmp_path / "x.yaml").write_text("m: {_target_: !name marker_module_q.f, a: 1}\n")
    assert "m: f" in run("show", str(tmp_path / "x.yaml"))[1]
    (tmp_path / "x.json").write_text(json.dumps({"_source_": "1/0", "a": 1}))
    assert run("show", str(tmp_path / "x.json"))[0] == 2
    assert not (tmp_path / "marker").exists()


def test_refused_names_and_the_option_that_allows_them(run, tmp_path):
    (tmp_path / "e.yaml").write_text("x: {_target_: os.system}\n")
    code, _, error = run("check", str(tmp_path / "e.yaml"))
    assert code == 2
    assert "e.yaml:1" in error
    assert "--trusted" in error
    assert "trusted=True" not in error


def test_as_a_module(tmp_path):
    (tmp_path / "d.py").write_text("x = 1\n")
    command = [sys.executable, "-m", "lazycfg", "get", str(tmp_path / "d.py"), "x"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


SAME = {
    "one.py": "a = L(Fraction)(1, denominator=2)\nb = Fraction(1, 3)\nc = L(Fraction.from_float)(f=1.0)\n",
    "two.py": "a = L(Fraction)(numerator=1, denominator=2)\nb = Fraction(denominator=3, numerator=1)\n"
    "c = L(fractions.Fraction.from_float)(f=1.0)\n",
}


def test_diff_of_the_same_said_differently(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head = "import fractions\nfrom fractions import Fraction\nfrom lazycfg import LazyCall as L\n"
    for name, text in SAME.items():
        (tmp_path / name).write_text(head + text)
    assert run("diff", "one.py", "two.py")[:2] == (0, "no differences\n")
    for suffix in ("py", "yaml", "json"):
        run("save", "one.py", f"saved.{suffix}")
        assert run("diff", "one.py", f"saved.{suffix}", "--trusted")[:2] == (0, "no differences\n")
    status, text, _ = run("diff", "one.py", "two.py", "a.numerator=5", "--overrides")
    assert (status, text) == (1, "++a.numerator=5\n")


def test_what_no_stand_in_can_do_is_done_by_the_real_object(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "library_of_this_test.py").write_text("__version__ = '2.1'\ndef f(): ...\n")
    (tmp_path / "d.py").write_text(
        "import library_of_this_test as lib\nfast = lib.__version__ >= '2.0'\nname = lib.f.__module__\n"
    )
    assert run("get", str(tmp_path / "d.py"), "fast")[:2] == (0, "True\n")
    assert run("get", str(tmp_path / "d.py"), "name")[:2] == (0, "library_of_this_test\n")
    (tmp_path / "e.py").write_text("import library_of_this_test as lib\nfast = lib.__verson__\n")
    code, _, error = run("get", str(tmp_path / "e.py"), "fast")
    assert code == 2
    assert "__verson__" in error


def test_each_run_of_a_sweep_has_its_own_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.py").write_text("train = dict(lr=1, out='x', output_dir='out/t')\nn = 1\n")
    (tmp_path / "plain.py").write_text("n = 1\n")

    def folders(*words):
        status, text, errors = run("sweep", *words, "--command", "go")
        assert status == 0, errors
        return [line.partition("train.output_dir=")[2] for line in text.splitlines()]

    assert folders("t.py", "train.lr=1,2", "n=5") == ["out/t/train.lr_1", "out/t/train.lr_2"]
    assert folders("t.py", "train.lr=1,2", "train.output_dir=mine") == ["mine/train.lr_1", "mine/train.lr_2"]
    assert folders("t.py", "train.lr=1,2", "train.output_dir=o_${train.lr}") == ["o_${train.lr}'"] * 2
    assert folders("t.py", "train.out=a/b,a:b") == ["out/t/train.out_a_b", "out/t/train.out_a_b-1"]
    assert folders("t.py", "train.lr=1") == [""]
    assert folders("plain.py", "n=1,2") == ["", ""]


def test_a_sweep_trains_from_any_folder(run):
    status, text, _ = run("sweep", "quickstart/mask_rcnn_shapes.py", "train.max_iter=1,2")
    assert status == 0
    config = text.split("-m lazycfg train ")[1].split()[0]
    assert os.path.isabs(config)
    assert os.path.isfile(config)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x.py", "COCO-Detection/rpn_R_50_C4_1x.py"),
    ],
)
def test_overrides_that_diff_prints_are_applied_by_show(run, one, two):
    status, text, errors = run("diff", one, two, "--overrides")
    assert status == 1, errors
    overrides = shlex.split(text)
    assert len(overrides) == len(text.splitlines())
    status, _, errors = run("show", one, *overrides)
    assert status == 0, errors
    again = apply_overrides(load_config(one, real=True), overrides)
    assert hash_of(again) == hash_of(load_config(two, real=True))


def test_reading_commands_take_the_overrides_of_a_real_load(run):
    config = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"
    path = "model.roi_heads.box_head.input_shape.channels"
    for command, words in (("show", ["model.roi_heads.box_head"]), ("get", [path]), ("explain", [path])):
        status, text, errors = run(command, config, *words, f"{path}=128")
        assert status == 0, errors
        assert "128" in text
    status, _, errors = run("show", config, f"{path}x=128")
    assert status == 2
    assert "did you mean 'channels'?" in errors
