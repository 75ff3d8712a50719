"""What is said of a config by its syntax, without a server."""

import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg.cli.common import zoo_folder
from lazycfg.editor.answers import ConfigText
from lazycfg.editor.text import call_before, chain_before, tolerant

PROJECTS = zoo_folder().parent / "projects"
CONFIGS = sorted([*zoo_folder().rglob("*.py"), *PROJECTS.glob("*/configs/**/*.py")])


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_is_said_to_be_wrong_with_our_own_configs(step):
    assert len(CONFIGS) > 300
    found = {str(file): ConfigText(str(file), file.read_text()).faults() for file in CONFIGS[::step]}
    assert {file: faults for file, faults in found.items() if faults} == {}


def test_nothing_is_imported(tmp_path):
    file = zoo_folder() / "quickstart" / "mask_rcnn_shapes.py"
    code = f"""
import sys
from lazycfg.editor.answers import ConfigText
text = ConfigText({str(file)!r}, open({str(file)!r}).read() + "model.roi_heads\\n")
spot = text.spot(text.text.count("\\n"), 8)
assert text.hover(spot) and text.definitions(spot) and text.completions(text.text.count("\\n"), 7)
assert not text.faults()
print(sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "numpy", "omegaconf")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


HEAD = "from lazycfg import LazyCall as L\nfrom lazycfg.modeling.backbone import BasicStem\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = L(BasicStem)(nrom='BN')", ["unknown argument"]),
        ("a = L(BasicStem)(out_channels='x')", ["expected int"]),
        (
            "from lazycfg.layers import ShapeSpec, Conv2d\na = L(Conv2d)(3, kernel_size=3)",
            ["needs the argument"],
        ),
        # What is not followed may have mended it
        ("a = L(BasicStem)(nrom='BN')\nfor key in ['nrom']:\n    del a[key]", []),
        ("a = L(BasicStem)(nrom='BN')\nmend(a)", []),
        ("a = L(BasicStem)(nrom='BN')\nb = a.copy()\nmend(a)", ["unknown argument"]),
        ("a = L(BasicStem)(nrom='BN')\ndel a.nrom", []),
        ("a = L(BasicStem)(**others())", []),
        ("a = L(unknown.Thing)(b=1)", []),
        ("a = L('lazycfg.modeling.backbone.BasicStem')(nrom=1)", ["unknown argument"]),
    ],
)
def test_only_what_is_sure_is_told(tmp_path, text, expected):
    faults = ConfigText(str(tmp_path / "a.py"), HEAD + text + "\n").faults()
    words = {"unknown argument": "takes no argument"}
    assert len(faults) == len(expected), faults
    assert all(words.get(word, word) in fault.message for word, fault in zip(expected, faults, strict=True))


def test_edits_of_an_import_are_not_seen_by_others(tmp_path):
    (tmp_path / "base.py").write_text(HEAD + "stem = L(BasicStem)(out_channels=8)\n")
    (tmp_path / "wide.py").write_text("from .base import stem\nstem.out_channels = 99\nwidth = 3\n")
    text = "from .wide import width\nfrom .base import stem\n"
    assert ConfigText(str(tmp_path / "own.py"), text).reading.config.stem.out_channels == 8
    text = "from .base import stem as plain\nfrom .wide import stem\n"
    config = ConfigText(str(tmp_path / "own.py"), text).reading.config
    assert (config.plain.out_channels, config.stem.out_channels) == (8, 99)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = L(A)(", ("A", [], "")),
        ("x = L(a.B)(c=1, d", ("a.B", ["c"], "d")),
        ("x = L(A)(b=L(C)(d=1), e=f(1)[2], g", ("A", ["b", "e"], "g")),
        ("x = L(A)(b=L(C)(d=1, e", ("C", ["d"], "e")),
        ("x = L.partial(A)(b='(', # )\n  ", ("A", ["b"], "")),
        ("x = L(A)(b=", None),
        ("x = L(A)(b=c", None),
        ("x = f(", None),
        ("x = [1, ", None),
        ("x = L(A)(b='y", None),
        ("", None),
    ],
)
def test_the_call_that_is_being_written(text, expected):
    assert call_before(text) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("model.", (("model",), "")),
        ("x = model.backbone.st", (("model", "backbone"), "st")),
        ("  f(cfg.a[0].b.", (("cfg", "a", 0, "b"), "")),
        ("model", None),
        ("f(x).a", None),
        ("1.", None),
    ],
)
def test_the_chain_that_is_being_written(line, expected):
    assert chain_before(line) == expected


def test_lines_stay_where_they_are_in_a_text_that_is_not_finished():
    tree, data, error = tolerant("a = 1\nb = (\nc = 3\n")
    assert error is not None
    assert {node.lineno for node in tree.body} == {1, 3}
    assert data.count(b"\n") == 3


def test_a_file_that_imports_itself_or_one_that_is_broken(tmp_path):
    (tmp_path / "broken.py").write_text("x = (\n")
    for text in (
        "from .own import x\n",
        "from . import own\n",
        "from .broken import x\n",
        "from .nowhere import x\n",
    ):
        answers = ConfigText(str(tmp_path / "own.py"), text)
        (tmp_path / "own.py").write_text(text)
        answers.faults()
        assert answers.completions(1, 5) == []
    assert (
        "broken.py:1" in ConfigText(str(tmp_path / "own.py"), "from .broken import x\n").faults()[0].message
    )
    assert Path(answers.file).name == "own.py"
