"""What a config file is told of a name that it has not imported."""

import subprocess
import sys

import pytest

from lazycfg.config.lazy import LazyConfig


@pytest.fixture
def told(tmp_path):
    """Write files, load one, and return the last note of its NameError as lines."""

    def run(text, name="exp/mine.py", **files):
        for path, content in {name: text, **files}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        with pytest.raises(NameError) as info:
            LazyConfig.load(tmp_path / name)
        (notes,) = info.value.__notes__
        return [line for line in notes.splitlines() if "loading config file" not in line]

    return run


@pytest.mark.parametrize(
    ("used", "line"),
    [
        ("L(dict)()", "from lazycfg import LazyCall as L"),
        ("ref('a')", "from lazycfg import ref"),
        ("REQUIRED", "from lazycfg import REQUIRED"),
        ("nn.Linear", "from torch import nn"),
        ("torch.float32", "import torch"),
        ("np.pi", "import numpy as np"),
        ("math.pi", "import math"),
        ("T.Resize", "from lazycfg.data import transforms as T"),
        ("ShapeSpec()", "from lazycfg.layers import ShapeSpec"),
        ("model_zoo", "from lazycfg import model_zoo"),
        ("image.size", "from lazycfg.model_zoo.common.own_data import image"),
        ("constants", "from lazycfg.model_zoo.common.data.constants import constants"),
    ],
)
def test_names_of_the_library_and_of_python(told, used, line):
    name = used.partition("(")[0].partition(".")[0]
    assert told(f"x = {used}\n") == [f"{name!r} is not imported; write: {line}"]


def test_several_that_have_it_are_told_as_such(told):
    assert told("train.max_iter = 5\n") == [
        "'train' is not imported; one of these?",
        "  from lazycfg.model_zoo.common.train import train",
        "  from lazycfg.engine import train",
    ]
    lines = told("model.x = 5\n")
    assert len(lines) == 5
    assert lines[-1] == "  ... and 4 more"


def test_what_the_file_imports_from_comes_first(told):
    base = {"exp/base.py": "from .more import train\nmodel = {}\n", "exp/more.py": "train = {}\n"}
    text = "from .base import model\ntrain.max_iter = 5\n"
    assert told(text, **base) == ["'train' is not imported; write: from .base import train"]
    text = "from lazycfg.model_zoo.common.own_data import train\nimage.size = 5\n"
    assert told(text) == [
        "'image' is not imported; write: from lazycfg.model_zoo.common.own_data import image"
    ]


def test_files_around_the_config(told):
    common = {"common/schedule.py": "train = {}\nSGD = {}\n"}
    beside = {"exp/other.py": "from ..common.schedule import SGD as optimizer, train\nimport torch as th\n"}
    assert told("train.x = 1\n", **common) == [
        "'train' is not imported; write: from ..common.schedule import train"
    ]
    assert told("optimizer.x = 1\n", **beside) == [
        "'optimizer' is not imported; write: from ..common.schedule import SGD as optimizer"
    ]
    assert told("th.x\n") == ["'th' is not imported; write: import torch as th"]
    assert told("class_of = Head\n", **{"exp/heads.py": "class Head: pass\n"}) == [
        "'Head' is not imported; write: from .heads import Head"
    ]
    assert told("x = heads\n", **{"exp/uses.py": "from . import heads\n"}) == [
        "'heads' is not imported; write: from . import heads"
    ]


def test_files_that_cannot_be_read_are_passed_over(told):
    files = {"exp/broken.py": "train = (\n", "exp/circle.py": "from .ring import train\n"}
    files |= {"exp/ring.py": "from .circle import train\n", "exp/far.py": "from .......... import train\n"}
    (first, *_) = told("train.x = 1\n", **files)
    assert first.startswith("'train' is not imported")


def test_names_that_are_bound_too_late_or_misspelt(told):
    assert told("x = model\nmodel = {}\n") == ["the file binds 'model', but not before this line runs"]
    assert told("optimizer = {}\nx = optimzer\n") == [
        "nothing of that name is bound; did you mean 'optimizer'?"
    ]
    assert told("x = nothing_is_called_so\n") == []
    assert told("def f():\n    if 0:\n        nn = 1\n    return nn\nx = f()\n") == []


def test_an_error_of_ordinary_code_is_left_alone(told, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert told("import code_of_mine\n", **{"code_of_mine.py": "nn.Linear\n"}) == []


def test_nothing_heavy_is_imported(tmp_path):
    (tmp_path / "c.py").write_text("x = nn.Linear\n")
    script = (
        "import sys\nfrom lazycfg import LazyConfig\n"
        "try:\n    LazyConfig.load('c.py')\nexcept NameError as error:\n    print(error.__notes__[0])\n"
        "print({'torch', 'numpy', 'yaml'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == ["'nn' is not imported; write: from torch import nn", "set()"]


def test_the_command_line_shows_it(tmp_path, capsys):
    from lazycfg.cli.main import main

    (tmp_path / "c.py").write_text("model = 1\nx = L(dict)()\n")
    assert main(["show", str(tmp_path / "c.py")]) != 0
    said = capsys.readouterr().err
    assert f"{tmp_path / 'c.py'}:2" in said
    assert "write: from lazycfg import LazyCall as L" in said
