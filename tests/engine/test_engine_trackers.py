"""Trackers of experiments: what they store is read back by another process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig
from lazycfg.config.formats.flat import to_flat
from lazycfg.engine import EventWriter, PreflightError, SettingsError, TensorboardWriter, train
from lazycfg.engine.trackers import TrackerWriter, make_writers
from lazycfg.engine.trackers.mlflow import _name, _plain_name
from lazycfg.utils import EventStorage

HERE = Path(__file__).parent
TRACKERS = ["tensorboard", "mlflow", "wandb"]


def stored(tracker, folder, tmp_path):
    command = [sys.executable, str(HERE / "tracker_stores.py"), tracker, str(folder), str(tmp_path / "found")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((tmp_path / "found").read_text())


def small(folder, tracker):
    cfg = LazyConfig.load(HERE / "tiny_mask_rcnn.py")
    cfg.train.update(output_dir=str(folder), max_iter=4, log_period=2, eval_period=2, pictures=1)
    cfg.train.checkpointer.period = 2
    cfg.train.writers = [tracker]
    cfg.dataloader.train.update(total_batch_size=2, num_workers=0)
    cfg.dataloader.test.dataset.update(num_images=2, name="<odd> name, of: 'data' [0] = @{}")
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_run_and_its_continuation(tracker, tmp_path, monkeypatch):
    pytest.importorskip(tracker)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "out"
    cfg = small(folder, tracker)
    train(cfg)
    (run,) = stored(tracker, folder, tmp_path)
    assert run["config"] == to_flat(cfg)
    steps = {name: [step for step, _ in values] for name, values in run["values"].items()}
    assert steps["total_loss"] == [1, 3]
    assert steps["bbox/AP50"] == [1, 3]
    assert run["images"]
    assert all("predictions" in name for name in run["images"])
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    losses = {line["iteration"]: line["total_loss"] for line in lines if "total_loss" in line}
    assert dict(run["values"]["total_loss"]) == pytest.approx(losses, rel=1e-4)

    cfg.train.max_iter = 6
    train(cfg, resume=True)
    (run,) = stored(tracker, folder, tmp_path)
    assert [step for step, _ in run["values"]["total_loss"]] == [1, 3, 5]
    assert run.get("status", "FINISHED") == "FINISHED"
    assert run.get("files", 2) in (1, 2)


@pytest.mark.slow
def test_trackio_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("trackio")
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "store"))
    cfg = small(tmp_path / "out", "trackio")
    cfg.odd = {"a": "NaN", "b": ":c", "d": 10**30, "e": "\ud800", "f": float("inf"), "_g": ["", True, None]}
    LazyConfig.save(cfg, tmp_path / "cfg.json")
    command = [sys.executable, str(HERE / "trackio_run.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # there is nothing of trackio's own in it
    assert told["asked"] == []
    log = (tmp_path / "moved" / "log.txt").read_text()
    assert f"trackio: run {told['name']}; to look at it" in log
    assert f"has a later run of the name {told['name']!r}, with which trackio would go on" in told["another"]
    assert "Run 'gone' does not exist in project 'lazycfg': another one of that name" in done.stderr
    assert "train.writers: trackio opens no run: OSError: its store cannot be written" in told["unwritable"]

    runs = {run["name"]: run for run in stored("trackio", tmp_path, tmp_path)}
    assert sorted(runs) == sorted(["gone", told["name"]])
    assert told["name"].startswith("out-")
    cfg.train.update(output_dir=str(tmp_path / "moved"), max_iter=6)
    assert runs[told["name"]]["config"] == to_flat(cfg)
    values = runs[told["name"]]["values"]
    assert [step for step, _ in values["total_loss"]] == [1, 3, 5]
    # The last evaluation is made up for when the run goes on
    assert {step for step, _ in values["bbox/AP50"]} == {1, 3, 5}
    assert "train/time" in values  # trackio has "time" for itself
    assert "time" not in values
    assert runs[told["name"]]["images"]


IMAGE = """
import sys
from pathlib import Path
import numpy as np
from lazycfg.engine import MLflowWriter
from lazycfg.utils import EventStorage
writer = MLflowWriter()
writer.start(EventStorage(), int(sys.argv[2]), 9)
writer.begin(Path(sys.argv[1]), {"train.max_iter": 9})
writer.log_image("predictions/a", np.zeros((4, 5, 3), np.uint8), int(sys.argv[2]))
writer.close()
"""


@pytest.mark.slow
def test_images_of_mlflow_go_where_the_folder_is_now(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "out"
    folder.mkdir()
    for start_iter in (0, 4):
        command = [sys.executable, "-c", IMAGE, str(folder), str(start_iter)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        folder = folder.rename(tmp_path / f"moved to {start_iter}")
    assert [path.name for path in tmp_path.iterdir()] == ["moved to 4"]
    images = sorted(path.name for path in folder.rglob("*.jpg"))
    assert images == ["0000000.jpg", "0000004.jpg"]


def test_names_that_are_not_allowed_come_back():
    for name in ("AP-<b>", "a:b:3c:", "x/y.z", "class \N{GREEK SMALL LETTER ALPHA}", '["a.b"].0', ":"):
        assert _plain_name(_name(name)) == name
        assert set(_name(name)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. :/")


def test_wrong_writers_are_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    cfg = small(tmp_path / "out", "tensorboard")
    cfg.train.writers = ["wanbd", "mlflow", 3, "wandb"]
    with pytest.raises(PreflightError) as caught:
        train(cfg)
    told = str(caught.value)
    assert "train.writers.0: 'wanbd' is no writer: expected one of" in told
    assert "an EventWriter; did you mean 'wandb'?" in told
    assert "pip install 'lazycfg[mlflow]'" in told
    assert "pip install 'lazycfg[wandb]'" in told
    assert "train.writers.2: 3 is no writer" in told
    assert not (tmp_path / "out").exists()


def test_a_mode_that_is_none_is_refused():
    pytest.importorskip("wandb")
    from lazycfg.engine import WandbWriter

    with pytest.raises(ValueError, match="mode='of': expected 'online'"):
        WandbWriter(mode="of")


class Broken(TrackerWriter):
    name = "broken"

    def open_run(self, output_dir, config, run_id):
        self.config, self.before, self.seen = config, run_id, []
        return "7"

    def log_scalars(self, values, iteration):
        self.seen.append((iteration, dict(values)))
        if iteration == 1:
            raise ConnectionError("no answer")


def test_a_tracker_that_fails_does_not_stop_the_training(tmp_path, caplog):
    writer, storage = Broken(), EventStorage()
    writer.start(storage, 0, 4)
    writer.begin(tmp_path, {"a": 1})
    storage.put_scalar("loss", 1.0)
    storage.put_scalar("bad", float("nan"))
    writer.write(storage)
    for step in (1, 2):
        storage.iter = step
        storage.put_scalar("loss", 2.0)
        writer.write(storage)
    writer.close()
    assert writer.seen[0] == (0, {"loss": 1.0})
    assert len(writer.seen) == 2
    assert caplog.text.count("broken takes no more values of this run, which goes on: no answer") == 1
    # A resumed run goes on with it, a new one does not
    for start_iter, before in ((3, "7"), (0, None)):
        writer.start(storage, start_iter, 4)
        writer.begin(tmp_path, {})
        assert writer.before == before


def test_a_tracker_that_opens_no_run_is_told_before_step_1(tmp_path):
    class Closed(Broken):
        def open_run(self, output_dir, config, run_id):
            raise ConnectionError("no key")

    writer = Closed()
    with pytest.raises(SettingsError, match="broken opens no run: ConnectionError: no key"):
        writer.begin(tmp_path, {})
    writer.close()
    assert not list(tmp_path.iterdir())


def test_writers_by_name_and_built_ones(tmp_path):
    pytest.importorskip("tensorboard")

    class Mine(EventWriter):
        pass

    mine = Mine()
    writers = make_writers(["tensorboard", mine], tmp_path, log_period=20)
    assert isinstance(writers[0], TensorboardWriter)
    assert writers[1] is mine
    assert not list(tmp_path.iterdir())
