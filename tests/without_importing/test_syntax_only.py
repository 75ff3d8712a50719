# ruff: noqa: E501
"""Looking at a Python config without running it."""

import pytest

from lazycfg.cli.main import main
from lazycfg.config.errors import ConfigError
from lazycfg.without_importing.syntax_only import Unread, read_syntax

EVIL = """
import os
from lazycfg import LazyCall as L, LazyPartial, Node
from torch import nn
from .parts import shared, norm as usual
from . import parts
open(MARKER, "w")
model = L(nn.Linear)(in_features=-3, out_features=os.cpu_count(), bias=[1, (2,)])
model.extra = {"a": 1, 2: "b"}
model.head = L(Head)(1, x=shared, **dict(y=2))
train = dict(max_iter=3, **open(MARKER, "w"))
train.update(lr=0.1, steps=parts.steps)
part = LazyPartial(nn.ReLU)(inplace=usual)
del train.max_iter
if os.environ:
    train.device = "cuda"
class Head:
    open(MARKER, "w")
"""
PARTS = "open(MARKER, 'w')\nfrom .evil import model\nshared = dict(z=1)\nnorm = 'BN'\nsteps = [1, 2]\n"


@pytest.fixture
def evil(tmp_path):
    marker = tmp_path / "marker"
    for name, text in (("evil.py", EVIL), ("parts.py", PARTS)):
        (tmp_path / name).write_text(text.replace("MARKER", repr(str(marker))))
    yield tmp_path / "evil.py"
    assert not marker.exists()


def test_what_the_syntax_tells(evil):
    cfg = read_syntax(evil)
    assert list(cfg) == ["shared", "usual", "model", "train", "part"]
    assert str(cfg.model["_target_"]) == "torch.nn.Linear"
    assert cfg.model.in_features == -3
    assert repr(cfg.model.out_features) == "<os.cpu_count()>"
    assert cfg.model.bias == [1, (2,)]
    assert cfg.model.extra == {"a": 1, 2: "b"}
    assert cfg.model.head.x is cfg.shared
    assert cfg.model.head["_args_"] == (1,)
    assert cfg.model.head.y == 2
    assert cfg.train.steps == [1, 2]
    assert "max_iter" not in cfg.train
    assert type(cfg.train.device) is Unread
    assert cfg.part["_partial_"] is True
    assert cfg.part.inplace == "BN"


def test_show_and_completion_run_nothing(evil, capsys):
    assert main(["show", "--no-run", str(evil)]) == 0
    assert main(["show", "--no-run", str(evil), "model.head"]) == 0
    said = capsys.readouterr()
    assert "out_features: <os.cpu_count()>" in said.out
    assert "without" in said.err or "syntax" in said.err
    for typed, expected in ((f"lazycfg show {evil} mod", "model.\n"), (f"lazycfg get {evil} model.in_f", "model.in_features\n"),
                            (f"lazycfg check {evil} model.head.x.", "model.head.x.z=\n"),
                            (f"lazycfg check {evil} model.in_features=", "model.in_features=-3\n")):  # fmt: skip
        main(["--complete", typed])
        assert capsys.readouterr().out == expected
    assert main(["show", "--no-run", str(evil), "model.in_features=4"]) == 2
    assert main(["show", "--no-run", str(evil), "--format", "yaml"]) == 2


@pytest.mark.parametrize("text", ["a = " + "(" * 150 + ")" * 150, "a = " + "-" * 5000 + "1", "a = " + "+".join(["x"] * 20_000),
    "from .odd import *", "from .odd import a, b as c", "from ..... import x", "from . import odd", "from .odd.x import y",
    "a = dict()\na.x = a", "(a, b), c = 1, 2", "a[1:2] = 3", "a.b.c = 1", "del a, b.c, d[0]", "a = {**b, 'x': 1}", "a = L()(1)",
    "L = LazyCall\na = L(x)(*y, **z)", "import a.b as c\nd = c.e", "x: int", "x: int = 3", "a = b = {}\na.x = 1",
    "from lazycfg import LazyConfig\na = LazyConfig.load('odd.py')", "a = 10 ** 10 ** 10", "a = 'x' * 10**10", "__config__ = {'a': 1}",
    "a = [1]\nb = a[5]\nc = a['x']", "a = 1 + 2j", "async def f(): ...", "match x:\n case 1: pass", "a = lambda: 0"])  # fmt: skip
def test_odd_files_end_well(tmp_path, text, capsys):
    (tmp_path / "odd.py").write_text(text)
    try:
        read_syntax(tmp_path / "odd.py")
    except (ConfigError, SyntaxError):
        return
    assert main(["show", "--no-run", str(tmp_path / "odd.py")]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_zoo_entry_looks_as_it_is():
    from lazycfg import model_zoo

    name = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"
    cfg, real = read_syntax(model_zoo.get_config_file(name)), model_zoo.get_config(name)
    assert set(real) <= set(cfg)
    assert cfg.model.roi_heads.num_classes == real.model.roi_heads.num_classes
    assert set(cfg.model.roi_heads) == set(real.model.roi_heads)
