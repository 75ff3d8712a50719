"""`lazycfg lsp`, as an editor speaks with it; nothing of a file runs unless the workspace says so."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pygls")
from lsp_client import Client

from lazycfg.cli.common import zoo_folder
from lazycfg.cli.main import main
from lazycfg.editor.answers import ConfigText
from lazycfg.editor.server import ConfigServer

BASE = """\
from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.modeling.backbone import BasicStem

stem = L(BasicStem)(in_channels=3, out_channels=64)
shape = L(ShapeSpec)(channels=64)
"""
OWN = """\
from lazycfg import LazyCall as L
from lazycfg.modeling.backbone import BasicStem
from .base import stem, shape

stem.out_channels = 32
häuser = 1; stem.nrom = "BN"
other = L(BasicStem)(in_channels=3,
    out_channels="x")
"""
TRAP = "from pathlib import Path\n\nPath(__file__).with_suffix('.ran').write_text('')\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


@pytest.fixture
def client():
    client = Client()
    yield client
    assert client.close() == 0


def kinds(problems):
    return [(p["message"].split(":")[0], p["range"]["start"]["line"], p["severity"]) for p in problems]


def line_of(text, words):
    return next(number for number, line in enumerate(text.split("\n")) if words in line)


def test_problems_are_those_of_check(client, folder, capsys):
    main(["check", str(folder / "own.py"), "--no-build", "--format", "json"])
    expected = json.loads(capsys.readouterr().out)
    found = client.open(folder / "own.py")
    assert kinds(found) == [("stem.nrom", 5, 1), ("other.out_channels", 7, 2)]
    for problem, known in zip(found, expected, strict=True):
        assert problem["message"] == f"{known['path']}: {known['message'].splitlines()[0]}"
        assert problem["range"]["start"]["line"] == known["line"] - 1
    assert found[0]["range"]["start"]["character"] == OWN.split("\n")[5].index("stem.nrom")
    assert "did you mean 'norm'" in found[0]["message"]


def test_hover_has_value_origin_and_the_parameter(client, folder):
    client.open(folder / "own.py")
    said = client.at("hover", folder / "own.py", 4, 8)["contents"]["value"]
    assert "stem.out_channels = 32" in said
    assert f"{folder / 'base.py'}:5:36" in said
    assert f"{folder / 'own.py'}:5:1" in said
    assert "out_channels: int" in said
    assert "channels of the image and of the output" in said
    target = client.at("hover", folder / "own.py", 6, 12)["contents"]["value"]
    assert "BasicStem(in_channels: int = 3" in target
    assert client.at("hover", folder / "own.py", 3, 0) is None


def test_definition_leads_to_where_a_value_was_set(client, folder):
    client.open(folder / "own.py")
    found = client.at("definition", folder / "own.py", 4, 8)
    places = [(Path(each["uri"]).name, each["range"]["start"]["line"]) for each in found]
    assert places == [("own.py", 4), ("base.py", 4)]
    (found,) = client.at("definition", folder / "own.py", 6, 12)
    assert found["uri"].endswith("resnet_blocks.py")
    lines = Path(found["uri"].removeprefix("file://")).read_text().split("\n")
    assert "class BasicStem" in "\n".join(lines[found["range"]["start"]["line"] - 6 :][:8])
    # Imported under that name
    (found,) = client.at("definition", folder / "own.py", 2, 25)
    assert (Path(found["uri"]).name, found["range"]["start"]["line"]) == ("base.py", 5)


def labels(items):
    return {item["label"]: item.get("insertText") for item in items}


def test_completion_across_relative_imports(client, folder):
    path = folder / "own.py"
    client.open(path)
    text = OWN + "stem.\nthird = L(BasicStem)(in_channels=3, ou"
    client.change(path, text, 2)
    found = labels(client.at("completion", path, line_of(text, "stem.\n".strip()), 0))
    assert found == {}
    line = len(OWN.split("\n")) - 1
    found = labels(client.at("completion", path, line, 5))
    assert {"in_channels", "out_channels", "norm"} <= found.keys()
    assert found["norm"] == "norm"
    found = client.at("completion", path, line + 1, len("third = L(BasicStem)(in_channels=3, ou"))
    assert labels(found) == {"out_channels": "out_channels="}
    assert found[0]["detail"] == "int = 64"
    text = OWN + "third = L(BasicStem)(\n    norm='a(b', # L(\n    "
    client.change(path, text, 3)
    found = client.at("completion", path, line + 2, 4)
    assert labels(found).keys() == {"in_channels", "out_channels"}
    assert labels(client.at("completion", path, line + 1, len("    norm='a"))) == {}


def test_text_that_is_not_finished_does_not_end_it(client, folder):
    path = folder / "own.py"
    client.open(path)
    version = 1
    for end in range(0, len(OWN), 7):
        version += 1
        text = OWN[:end]
        client.change(path, text, version)
        line = text.count("\n")
        client.at("completion", path, line, len(text.rpartition("\n")[2]))
        client.at("hover", path, line, 0)
        client.at("definition", path, line, 2)
    odd = ["\0", "(" * 3000, "x = '''", "def f(:\n  return\n" * 50, "from .own import x\n"]
    for text in [
        *odd,
        "from .base import *\nstem.a.b[0].",
        "x = L(\n" * 30,
        "stem: = 1",
        "from . import (a,\n",
    ]:
        version += 1
        client.change(path, text, version)
        client.at("completion", path, 0, len(text.split("\n")[0]))
        client.at("hover", path, 0, 0)
    client.change(path, "model = (\n", version + 1)
    while not (found := client.problems(path)) or "never closed" not in found[0]["message"]:
        pass
    assert found[0]["range"]["start"]["line"] == 0


def test_what_is_not_saved_counts_in_other_files(client, folder):
    client.open(folder / "base.py", BASE.replace("out_channels=64", "out_channels=48"))
    client.open(folder / "own.py", OWN.replace("stem.out_channels = 32", "stem.in_channels = 3"))
    text = OWN + "stem.out_channels"
    client.change(folder / "own.py", text.replace("stem.out_channels = 32", ""), 2)
    line = len(OWN.split("\n")) - 1
    assert "stem.out_channels = 48" in client.at("hover", folder / "own.py", line, 8)["contents"]["value"]


def test_a_class_that_is_edited_is_read_anew(tmp_path):
    parts, path = tmp_path / "lz_parts.py", tmp_path / "cfg.py"
    parts.write_text("class Part:\n    def __init__(self, size=1): ...\n")
    path.write_text("from lazycfg import LazyCall as L\nfrom lz_parts import Part\npart = L(Part)(width=3)\n")
    client = Client(path=[tmp_path])
    try:
        (found,) = client.open(path)
        assert "Part takes no argument 'width'" in found["message"]
        parts.write_text("class Part:\n    def __init__(self, width=1): ...\n")
        client.save(path)
        assert client.problems(path) == []
    finally:
        assert client.close() == 0


def test_opening_a_file_runs_nothing(client, folder):
    path = folder / "trap.py"
    path.write_text(
        TRAP + "from lazycfg import LazyCall as L\nmodel = L('os.system')(command='touch hacked')\n"
    )
    client.open(path)
    client.at("hover", path, 4, 10)
    client.at("completion", path, 4, 25)
    client.save(path)
    client.problems(path)
    assert not path.with_suffix(".ran").exists()


@pytest.mark.parametrize("how", ["word", "option"])
def test_a_workspace_may_say_that_its_configs_are_run(folder, how):
    path = folder / "late.py"
    path.write_text(TRAP + BASE + "for name in ('nrom',):\n    stem[name] = 1\nprint('[1]')\n")
    client = Client("--run") if how == "word" else Client(initializationOptions={"run": True})
    try:
        assert client.open(path) == []  # of the syntax: what a loop does is not followed
        found = client.problems(path, timeout=90)
        assert kinds(found) == [("stem.nrom", 10, 1)]
        assert path.with_suffix(".ran").exists()
    finally:
        assert client.close() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_in_the_units_of_the_editor(folder, encoding):
    client = Client(encodings=[encoding])
    try:
        text = 'from .base import stem\n"😀ä"; stem.nrom = 1\n'
        before = '"😀ä"; '
        units = {
            "utf-8": len(before.encode()),
            "utf-16": len(before.encode("utf-16-le")) // 2,
            "utf-32": len(before),
        }
        assert client.capabilities.get("positionEncoding", "utf-16") == encoding
        (found,) = client.open(folder / "own.py", text)
        assert found["range"]["start"] == {"line": 1, "character": units[encoding]}
        said = client.at("hover", folder / "own.py", 1, units[encoding] + len("stem.nr"))
        assert "stem.nrom = 1" in said["contents"]["value"]
    finally:
        assert client.close() == 0


def test_a_zoo_file(client):
    path = zoo_folder() / "COCO-InstanceSegmentation" / "mask_rcnn_R_50_FPN_1x.py"
    assert client.open(path) == []
    text = path.read_text() + "\nmodel.roi_heads.num_classes\n"
    client.change(path, text, 2)
    line = text.count("\n") - 1
    said = client.at("hover", path, line, 20)["contents"]["value"]
    assert "model.roi_heads.num_classes = 80" in said
    (found,) = client.at("definition", path, line, 20)
    assert found["uri"].endswith("common/models/mask_rcnn_fpn.py")
    assert len(client.at("completion", path, line, 16)) > 5


def test_no_answer_waits_for_a_collection_of_all_garbage(folder, monkeypatch):
    code = f"""
import gc
from lazycfg.editor.answers import ConfigText
from lazycfg.editor.server import keep_collections_out_of_answers
full = []
gc.callbacks.append(lambda phase, info: full.append(phase) if info["generation"] == 2 else None)
keep_collections_out_of_answers()
full.clear()
text = open({str(zoo_folder() / "quickstart" / "mask_rcnn_shapes.py")!r}).read()
for number in range(40):
    ConfigText({str(folder / "x.py")!r}, text + f"x = {{number}}\\n").faults()
print(len(full), gc.get_freeze_count() > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]

    done = []
    server = ConfigServer()
    monkeypatch.setattr(server, "config_text", lambda uri: ConfigText(str(folder / "own.py"), OWN))
    monkeypatch.setattr(server, "_tell", lambda uri, faults: done.append("told"))
    monkeypatch.setattr("gc.collect", lambda: done.append("collected"))
    asyncio.run(server._judge("file:///x.py", pause=0.0, run=False))
    assert done == ["told", "collected"]
