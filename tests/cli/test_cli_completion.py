"""Completion, as candidates and in a real bash."""

import shutil
import subprocess
import sys

import pytest

from lazycfg.cli.commands.completion import candidates
from lazycfg.cli.main import main

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"


def test_commands_options_and_their_values():
    assert candidates("lazycfg gr") == ["graph", "grep"]
    assert "drift" in candidates("lazycfg ")
    assert candidates("lazycfg show --fo") == ["--format"]
    assert candidates(f"lazycfg show {ZOO} --format ") == ["tree", "py", "yaml", "json"]
    assert candidates(f"lazycfg show {ZOO} --format y") == ["yaml"]
    assert candidates(f"lazycfg graph {ZOO} -o ") == []  # files: bash completes them
    assert candidates("lazycfg nonsense ") == candidates("lazycfg show ")


def test_an_option_with_a_value_is_not_the_config():
    assert candidates(f"lazycfg show --depth 2 {ZOO} trai") == ["train."]
    assert candidates(f"lazycfg graph -o x.svg {ZOO} mod") == ["model."]
    assert candidates("lazycfg grep ") == []
    assert candidates("lazycfg grep norm COCO-D") == ["COCO-Detection/"]


def test_commands_that_run_a_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"train", "eval", "predict", "analyze", "benchmark", "env"} <= set(candidates("lazycfg "))
    assert candidates("lazycfg train quickst") == ["quickstart/"]
    assert candidates("lazycfg train quickstart/mask_rcnn_shapes.py train.max_i") == ["train.max_iter="]
    assert candidates("lazycfg predict --we") == ["--weights", "--webcam"]
    assert candidates("lazycfg predict x --track w") == ["weighted"]
    assert candidates("lazycfg prepare coco") == ["cocofied-lvis", "coco-subset"]
    assert candidates("lazycfg env ") == []
    assert candidates("lazycfg doc train.max_") == ["train.max_iter"]
    (tmp_path / "model.jpg").touch()
    assert (
        candidates("lazycfg predict quickstart/mask_rcnn_shapes.py mod") == []
    )  # files: bash completes them
    assert candidates("lazycfg predict quickstart/mask_rcnn_shapes.py trai") == ["train."]


@pytest.fixture
def config(tmp_path, monkeypatch):
    package = tmp_path / "lz_complete"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    (package / "__init__.py").write_text("from .net import Net as Net\n")
    (package / "net.py").write_text(
        "from typing import Literal\n"
        "class Net:\n"
        "    def __init__(self, width, mode: Literal['fast', 'exact'] = 'fast', on: bool | None = None):\n"
        "        pass\n"
    )
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\nfrom lz_complete import Net\n"
        "model = L(Net)(width=3)\ntrain = dict(sizes=(1, 2), text='a b', amp=False, parts=[dict(x=1)])\n"
    )
    monkeypatch.chdir(tmp_path)
    yield "c.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "lz_complete"]:
        del sys.modules[name]


def test_keys_of_the_config_and_of_the_signature(config):
    keys = ["model.width=", "model.mode=", "model.on="]
    assert candidates("lazycfg check c.py model.") == keys
    assert candidates("lazycfg get c.py model.w") == ["model.width"]
    assert candidates("lazycfg check c.py train.p") == ["train.parts."]
    assert candidates("lazycfg check c.py train.parts.0.") == ["train.parts.0.x="]
    assert candidates("lazycfg check c.py ~train.a") == ["~train.amp"]


def test_values(config):
    assert candidates("lazycfg check c.py model.mode=") == ["model.mode=fast", "model.mode=exact"]
    assert candidates("lazycfg check c.py model.on=t") == ["model.on=true"]
    assert candidates("lazycfg check c.py train.amp=") == ["train.amp=true", "train.amp=false"]
    assert candidates("lazycfg check c.py train.sizes=") == [r"train.sizes=\(1,2\)"]
    assert candidates("lazycfg check c.py model.width=") == ["model.width=3"]
    (text,) = candidates("lazycfg check c.py train.text=")
    assert text.replace("\\", "").endswith(("=a b", "='a b'", '="a b"'))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "replies"),
    [
        ("lazycfg gra", ["graph"]),
        ("lazycfg get c.py mod", ["model."]),
        ("lazycfg check c.py train.amp=", ["true", "false"]),
        ("lazycfg check c.py train.sizes=", [r"\(1,2\)"]),
        ("lazycfg check no_such.py train.", []),
    ],
)
def test_in_bash(config, typed, replies, capsys):
    main(["completion", "bash"])
    script = capsys.readouterr().out
    run = f'lazycfg() {{ {sys.executable} -c "from lazycfg.cli import main; main()" "$@"; }}'
    asked = f"COMP_LINE={typed!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=' =:'; _lazycfg_complete"
    shown = 'for reply in "${COMPREPLY[@]}"; do echo "$reply"; done'
    code = "\n".join([script, run, "compopt() { :; }", asked, shown])
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == replies
    assert done.stderr == ""
