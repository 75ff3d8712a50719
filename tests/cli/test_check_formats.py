"""What `lazycfg check` finds, for programs: JSON, GitHub, SARIF; and its hook of pre-commit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest

from lazycfg.cli.main import main

ROOT = Path(__file__).parents[2]
BAD = """\
from lazycfg import LazyCall as L
from torch import nn


first = L(nn.Conv2d)(3, 8, kernel=3)
second = L(nn.Linear)(in_features="8%, 9:\\n", out_features=2)
"""
GOOD = "from lazycfg import LazyCall as L\nfrom torch import nn\n\nmodel = L(nn.Linear)(8, 2)\n"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "broken.py").write_text("model = (\n")
    (tmp_path / "fails.py").write_text(
        "from lazycfg import LazyCall as L\n\nmodel = L(int)()\nmodel = 1 / 0\n"
    )
    (tmp_path / "script.py").write_text("import sys\n\nsettings = dict(a=1)\nsys.exit('it was run')\n")

    def call(*words):
        status = main(["check", *words])
        return status, capsys.readouterr().out

    return call


def places(found):
    return [
        (each["kind"], each["path"], Path(each["file"]).name, each["line"], each["column"]) for each in found
    ]


def test_json_has_what_text_has(run):
    status, text = run("bad.py", "--no-build")
    assert status == 1
    status, out = run("bad.py", "--no-build", "--format", "json")
    assert status == 1
    found = json.loads(out)
    assert ("unknown argument", "first.kernel", "bad.py", 5, 28) in places(found)
    assert len(found) == int(re.search(r"(\d+) problems", text)[1])
    for each in found:
        assert each["path"] in text
        assert each["message"].splitlines()[0] in text
    assert {each["severity"] for each in found} == {"error", "warning"}


def test_several_files_and_those_without_faults(run):
    status, out = run("good.py", "--format", "json")
    assert (status, json.loads(out)) == (0, [])
    status, out = run("good.py", "bad.py", "--no-build", "--format", "json")
    assert {Path(each["config"]).name for each in json.loads(out)} == {"bad.py"}
    status, out = run("good.py", "bad.py", "--no-build")
    assert status == 1
    assert out.startswith("good.py:\nno problems found\nbad.py:\n")


def test_files_that_cannot_be_loaded(run):
    status, out = run("broken.py", "fails.py", "--format", "json")
    assert status == 1
    broken, fails = json.loads(out)
    assert places([broken]) == [("load", "", "broken.py", 1, 9)]
    assert places([fails]) == [("load", "", "fails.py", 4, None)]
    assert "division by zero" in fails["message"]


def test_a_model_that_cannot_be_built(run, tmp_path):
    (tmp_path / "deep.py").write_text(
        "from lazycfg import LazyCall as L\nfrom torch import nn\n\n"
        "model = L(nn.Sequential)(L(nn.Conv2d)(3, 8, 3), L(nn.Conv2d)(3, 8, 3, groups=2))\n"
    )
    status, out = run("deep.py", "--format", "json")
    assert status == 1
    (found,) = json.loads(out)
    assert (found["kind"], found["line"]) == ("build", 4)
    assert "groups" in found["message"]


def test_overrides_are_checked_too(run):
    status, out = run("good.py", "--no-build", "--format", "json", "model.out_features=x")
    assert status == 1
    (found,) = json.loads(out)
    assert (found["kind"], found["line"]) == ("load", None)
    assert "model.out_features=x" in found["message"]


def test_annotations_of_github(run):
    status, out = run("bad.py", "--no-build", "--format", "github")
    assert status == 1
    lines = out.splitlines()
    assert all(re.fullmatch(r"::(error|warning) file=[^:]*::.*", re.sub("%3A", "", line)) for line in lines)
    assert any(line.startswith("::error file=bad.py,line=5,col=28,title=first.kernel%3A") for line in lines)
    assert any("8%25, 9" in line for line in lines)
    assert run("good.py", "--format", "github") == (0, "")


def test_sarif(run, tmp_path):
    status, out = run("bad.py", "broken.py", "--no-build", "--format", "sarif")
    assert status == 1
    log = json.loads(out)
    assert log["version"] == "2.1.0"
    (each,) = log["runs"]
    driver = each["tool"]["driver"]
    assert driver["name"] == "lazycfg"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(set(rules)) == len(rules)
    for result in each["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert urlparse(uri).scheme == ""
        assert (tmp_path / uri).is_file()
        region = location["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region.get("startColumn", 1) >= 1
    empty = json.loads(run("good.py", "--format", "sarif")[1])
    assert empty["runs"][0]["results"] == []


def test_files_that_are_no_configs_are_not_run(run):
    _, out = run("--skip-others", "--no-build", "--format", "json", "script.py", "bad.py")
    assert {Path(each["config"]).name for each in json.loads(out)} == {"bad.py"}
    assert run("--skip-others", "script.py") == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the hook is looked for in a bin folder")
def test_the_hook_of_pre_commit(run, tmp_path):
    pytest.importorskip("pre_commit")
    hooks, mine = tmp_path / "hooks", tmp_path / "mine"
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, **who, "PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "home")}

    def command(folder, *words):
        return subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
        )

    for folder, names in ((hooks, [".pre-commit-hooks.yaml"]), (mine, ["bad.py", "good.py", "script.py"])):
        folder.mkdir()
        for name in names:
            source = ROOT / name if folder is hooks else tmp_path / name
            (folder / name).write_text(source.read_text())
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "files"]):
            assert command(folder, "git", *words).returncode == 0
    tried = [
        sys.executable,
        "-m",
        "pre_commit",
        "try-repo",
        str(hooks),
        "lazycfg-check",
        "--verbose",
        "--files",
    ]
    done = command(mine, *tried, "bad.py", "good.py", "script.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "first.kernel (" in done.stdout
    assert "it was run" not in done.stdout
    assert command(mine, *tried, "good.py", "script.py").returncode == 0
