"""`lazycfg graph` and `lazycfg drift` as they are typed."""

import sys
import xml.etree.ElementTree as ET

import pytest

from lazycfg.cli.main import main

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_whole_mask_rcnn(run, tmp_path):
    assert run("graph", ZOO, "-o", "out.svg") == (0, "out.svg\n", "")
    shown = "".join(ET.parse(tmp_path / "out.svg").getroot().itertext())
    for text in ("mask_rcnn_R_50_FPN_1x.py", "StandardROIHeads", "DefaultAnchorGenerator", "*1", "&2"):
        assert text in shown
    assert (
        run("graph", ZOO, "model.backbone", "model.backbone.norm=BN", "-o", "b.html", "--depth", "1")[0] == 0
    )
    page = (tmp_path / "b.html").read_text()
    assert "mask_rcnn_R_50_FPN_1x.py: model.backbone" in page
    assert "&#x27;BN&#x27;" in page
    assert "StandardROIHeads" not in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "out.png"), "unknown format of 'out.png'; use .svg, .html"),
        (("-o", "no/such/folder/out.svg"), "no/such/folder/out.svg: No such file or directory"),
        (("-o", "out.svg", "--depth", "-1"), "--depth is 0 or more, not -1"),
        (("modle", "-o", "out.svg"), "did you mean 'model'?"),
    ],
)
def test_wrong_uses(run, words, message):
    status, _, errors = run("graph", ZOO, *words)
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_drift(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "drifting.py").write_text("def f(a, b=2): pass\n")
    (tmp_path / "cfg.py").write_text(
        "from lazycfg import LazyCall as L\nfrom drifting import f, g\nx = L(f)(a=1, c=2)\ny = L(g)()\n"
    )
    status, text, errors = run("drift", "cfg.py")
    assert (status, errors) == (1, "")
    assert "cfg.py: 2 things no longer fit the code" in text
    assert "x.c (" in text
    assert "cfg.py:3:15): f takes no argument 'c' any more; available: 'b'" in text
    assert "cfg.py:4:5): target 'drifting.g': 'drifting' has no 'g'; available: 'f'" in text
    fitting = "from lazycfg import LazyCall as L\nimport drifting\nx = L(drifting.f)(a=1)\n"
    (tmp_path / "cfg.py").write_text(fitting)
    assert run("drift", "cfg.py")[:2] == (0, "cfg.py: no drift, all 1 calls fit the code\n")
    assert run("drift", "cfg.py", "extra")[0] == 2
