"""What a run writes down about itself, and the report that is made of it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.engine import evaluate, train
from lazycfg.engine.run_record import _parent, recorded_run
from lazycfg.evaluation import COCOEvaluator, DatasetEvaluator, PascalVOCDetectionEvaluator
from lazycfg.reporting import report_html
from lazycfg.utils.git_state import git_state

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIG = HERE / "tiny_mask_rcnn.py"


def small(folder, **settings):
    cfg = LazyConfig.load(CONFIG)
    cfg.train.update(output_dir=str(folder), max_iter=6, log_period=2, eval_period=3, **settings)
    cfg.dataloader.train.update(total_batch_size=2, num_workers=0)
    cfg.dataloader.test.dataset.num_images = 4
    return cfg


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(small(folder, pictures=4))
    return folder


def test_a_run_ends_with_a_report(run):
    text = (run / "report.html").read_text()
    for section in ("results", "curves", "classes", "precision-recall", "confusion", "mistakes", "images",
                    "speed", "data", "config", "environment"):  # fmt: skip
        assert f'<section id="{section}">' in text
    assert "finished after 6 iterations" in text
    assert text.count("<img ") == 8
    assert "shapes_train" in text
    assert str(run / "report.html") in (run / "log.txt").read_text()


def test_what_is_kept_is_small(run):
    details = json.loads((run / "details.json").read_text())
    assert details["iteration"] == 6
    assert set(details["tasks"]) == {"bbox", "segm"}
    shown = details["images"]
    assert [len(shown[name]) for name in ("worst", "best")] == [2, 2]
    assert shown["worst"][0]["quality"] <= shown["best"][0]["quality"]
    for each in shown["worst"] + shown["best"]:
        assert (run / each["file"]).is_file()
    # Those of the first evaluation are gone
    files = {path.relative_to(run).as_posix() for path in (run / "pictures").glob("*/*.jpg")}
    assert files == {each["file"] for each in shown["worst"] + shown["best"]}
    assert (run / "details.json").stat().st_size < 30_000


def test_the_record_of_a_run(run):
    record = json.loads((run / "run.json").read_text())
    assert record["end"]["reason"] == "finished"
    assert record["end"]["iteration"] == record["max_iter"] == 6
    assert [start["iteration"] for start in record["starts"]] == [0]
    assert record["starts"][0].get("git_of_config", "") == git_state(HERE)
    assert record["data"]["training"]["classes"] == ["circle", "square"]
    assert record["data"]["training"]["batch_size"] == 2
    assert record["config"]["file"] == str(CONFIG)
    changes = "\n".join(record["config"]["changes"])
    assert "~ train.max_iter: 100 -> 6" in changes
    assert record["environment"]["PyTorch"]


def test_a_run_that_goes_on_keeps_its_beginning(run):
    cfg = LazyConfig.load(run / "config.py")
    cfg.train.update(max_iter=8, eval_period=0)
    train(cfg, resume=True)
    record = json.loads((run / "run.json").read_text())
    first, second = record["starts"]
    assert (first["iteration"], second["iteration"]) == (0, 6)
    assert record["max_iter"] == 8
    assert record["config"]["file"] == str(CONFIG)
    # What stood beside the list for the start before is now in its entry
    assert first["max_iter"] == 6
    assert first["end"]["reason"] == record["end"]["reason"] == "finished"
    assert first["end"]["iteration"] == 6
    assert first["environment"] == record["environment"]
    assert "changes" not in first
    assert {"- train.max_iter: 6", "+ train.max_iter: 8"} <= set(second["changes"])
    text = (run / "report.html").read_text()
    assert "What was changed when it went on with iteration 6" in text
    assert "That is not this run: its config was changed when it went on." in text
    assert "+ train.max_iter: 8" in text
    assert text.count("finished after 6 iterations") == text.count(": finished after 8 iterations") == 1


def recorded(cfg, folder, **arguments):
    """What `run.json` says after a start whose steps are left out."""
    parts = SimpleNamespace(train_loader=None, test_loader=None, model=nn.Linear(2, 2))
    settings, trainer = SimpleNamespace(output_dir=folder, max_iter=4), SimpleNamespace(iter=4)
    with recorded_run(cfg, parts, settings, trainer, **arguments):
        pass
    return json.loads((folder / "run.json").read_text())


def test_starts_are_added_up(tmp_path, caplog):
    cfg = LazyConfig.load(CONFIG)
    old = {  # as it was written before starts had environments and ends of their own
        "max_iter": 3,
        "starts": [{"iteration": 0, "command": "a"}, {"iteration": 1, "command": "b"}],
        "config": {},
        "environment": {"PyTorch": "2.9"},
        "end": {"reason": "KeyError: 3", "iteration": 2},
    }
    (tmp_path / "run.json").write_text(json.dumps(old))
    record = recorded(cfg, tmp_path, start_iter=2, changes=["+ a: 1"])
    assert record["starts"][0] == old["starts"][0]
    own = {name: old[name] for name in ("max_iter", "environment", "end")}
    assert record["starts"][1] == old["starts"][1] | own
    assert record["starts"][2]["changes"] == ["+ a: 1"]
    assert record["config"] == {}
    (tmp_path / "config.yaml").write_text("x: 1\n")
    text = report_html(tmp_path)
    assert "KeyError: 3 after 2 iterations" in text
    assert re.search("What was another at the start of None.*2.9", text)
    # Killed before its first checkpoint, and resumed: it begins anew, and is the same run
    record = recorded(cfg, tmp_path, start_iter=0, changes=[])
    assert len(record["starts"]) == 4
    # Another run in this folder
    record = recorded(cfg, tmp_path, start_iter=0, changes=None)
    assert len(record["starts"]) == 1
    assert record["config"]["file"] == str(CONFIG)
    (tmp_path / "run.json").write_text('{"starts": [')
    assert len(recorded(cfg, tmp_path, start_iter=2, changes=[])["starts"]) == 1
    assert "cannot be read: it is now run.json.damaged" in caplog.text
    assert (tmp_path / "run.json.damaged").read_text() == '{"starts": ['


def test_the_commit_of_a_run(tmp_path, monkeypatch):
    def git(*words):
        own = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *own, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert git_state(tmp_path) == ""
    git("init", "-q")
    assert git_state(tmp_path) == ""  # of no commit
    (tmp_path / "a.py").write_text("a = 1\n")
    git("add", "a.py")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD")
    assert git_state(tmp_path) == commit
    (tmp_path / "a.py").write_text("a = 2\n")
    (tmp_path / "new.py").write_text("")
    assert git_state(tmp_path) == f"{commit} and 1 changed file"
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == ""


def test_several_evaluators_of_pixels(tmp_path):
    cfg = small(tmp_path / "out", pictures=4)
    cfg.dataloader.evaluator = [L(COCOEvaluator)(dataset="${dataloader.test.dataset}"), L(Pixels)()]
    train(cfg)
    details = json.loads((tmp_path / "out" / "details.json").read_text())
    assert set(details["tasks"]) == {"bbox", "segm", "pixels"}
    text = (tmp_path / "out" / "report.html").read_text()
    assert "<h3>pixels</h3>" in text


def test_the_evaluator_of_voc_tells_details_too(run, tmp_path):
    cfg = small(tmp_path / "new", pictures=2)
    cfg.dataloader.evaluator = L(PascalVOCDetectionEvaluator)(
        dataset="${dataloader.test.dataset}", metric="area"
    )
    evaluate(cfg, weights=str(run / "model_final.safetensors"))
    (folder,) = (tmp_path / "new" / "evaluation").iterdir()
    details = json.loads((folder / "details.json").read_text())
    task = details["tasks"]["bbox"]
    assert {"per_class", "curves", "confusion", "errors"} <= set(task)
    assert [len(details["images"][name]) for name in ("worst", "best")] == [1, 1]


class Pixels(DatasetEvaluator):
    def evaluate(self):
        return {"pixels": {"right": 50.0}}

    def details(self):
        return {"pixels": {"per_class": [{"class": "a", "right": 1.0}, {"class": "b", "right": 2.0}]}}, {}


def test_an_evaluation_tells_details_too(run, tmp_path):
    cfg = small(tmp_path / "new", pictures=2)
    evaluate(cfg, weights=str(run / "model_final.safetensors"))
    (folder,) = (tmp_path / "new" / "evaluation").iterdir()
    details = json.loads((folder / "details.json").read_text())
    assert "iteration" not in details
    assert "errors" in details["tasks"]["bbox"]


def test_a_report_that_fails_does_not_fail_the_run(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no paper")

    monkeypatch.setattr("lazycfg.engine.run_report.write_report", broken)
    monkeypatch.setattr("lazycfg.engine.run_record.collect_env", broken)
    monkeypatch.setattr("lazycfg.evaluation.coco.detection_details", broken)
    results = train(small(tmp_path / "out", pictures=0))
    assert "bbox" in results
    assert (tmp_path / "out" / "model_final.safetensors").is_file()
    log = (tmp_path / "out" / "log.txt").read_text()
    for said in ("could not write the report", "could not write run.json", "could not write details.json"):
        assert said in log
    assert not (tmp_path / "out" / "report.html").exists()


RUN = """
import sys; sys.path.insert(0, {here!r})
from lazycfg import LazyConfig, LazyCall as L
from toy_job import KillAt
from lazycfg.engine import train
cfg = LazyConfig.load({here!r} + "/toy_config.py")
cfg.train.output_dir = {out!r}
cfg.train.hooks = [L(KillAt)(iteration={iteration}, signal_at=({signal_at}, {signal}))]
train(cfg)
"""


@pytest.mark.parametrize(("iteration", "signal_at"), [(13, -1), (-1, 13)])
def test_a_run_that_was_ended(tmp_path, iteration, signal_at):
    out = tmp_path / "out"
    code = RUN.format(
        here=str(HERE), out=str(out), iteration=iteration, signal_at=signal_at, signal=int(signal.SIGTERM)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    killed = iteration > 0
    assert (out / "report.html").exists() != killed
    command = ["-c", "from lazycfg.cli import main; main()", "report", str(out)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    text = (out / "report.html").read_text()
    # A user's evaluator tells its results and no details
    assert '<section id="curves">' in text
    assert '<section id="confusion">' not in text
    told = (
        "not finished: running or killed, " if killed else "stopped by a signal (after 14 of 24 iterations)"
    )
    assert told in text


def test_the_config_that_a_file_began_as(tmp_path):
    zoo = ROOT / "lazycfg" / "model_zoo"
    mine = tmp_path / "mine.py"
    entry = "COCO-InstanceSegmentation"
    mine.write_text(
        "from lazycfg.model_zoo.common.train import train\n"
        "from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, model\n"
    )
    assert _parent(mine) == zoo / "quickstart" / "mask_rcnn_shapes.py"
    mine.write_text("from lazycfg.model_zoo.common.train import train\n")
    assert _parent(mine) == mine
    file = zoo / entry / "mask_rcnn_R_50_FPN_1x.py"
    assert _parent(file) == file
