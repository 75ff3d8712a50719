"""What a run does with its folder: one run at a time, tidied up, and lost or odd files told about."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_engine_resume import CONFIG, HERE, ROOT, Stop, command, same_weights, stop_at, toy_config

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node
from lazycfg.checkpoint import CheckpointError
from lazycfg.engine import CallbackHook, OutputDirInUseError, evaluate, train
from lazycfg.engine.run_dir import save_config
from lazycfg.engine.run_lock import lock_folder
from lazycfg.engine.writers import JSONWriter, read_metrics
from lazycfg.utils import EventStorage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(toy_config(folder))
    return folder


def start(*arguments):
    """The training script with the toy job, going on in the background, in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, ROOT / "tools" / "train_net.py", "--config-file", CONFIG, *arguments],
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_lock_names_who_holds_it_and_leaves_nothing(tmp_path):
    folder = tmp_path / "new" / "out"
    code = (
        "import sys\nfrom lazycfg.engine.run_lock import *\n"
        "try:\n    with lock_folder(sys.argv[1]): print('free')\nexcept OutputDirInUseError as e: print(e)"
    )

    def other():
        return subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        ).stdout

    with lock_folder(folder):
        said = other()
        assert f"process {os.getpid()} on {os.uname().nodename}" in said
        assert "train.output_dir=" in said
    assert not folder.parent.exists()
    folder.mkdir(parents=True)
    (folder / ".run.lock").write_text("process 1 on a machine that was switched off")  # of a killed run
    assert other() == "free\n"
    assert os.listdir(folder) == []


def test_a_run_that_goes_on_is_told_rather_than_its_checkpoints(whole_run, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(whole_run, folder)
    code = (
        "import sys\nfrom lazycfg.engine.run_lock import *\n"
        "with lock_folder(sys.argv[1]): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        for resume in (False, True):  # "go on with it by --resume" would be of no help
            with pytest.raises(
                OutputDirInUseError, match=rf"another run writes into .*process {other.pid} on"
            ):
                train(toy_config(folder), resume=resume)
        other.communicate("\n")
    with pytest.raises(OutputDirInUseError, match="holds a run already"):
        train(toy_config(folder))
    assert contents(folder) == contents(whole_run)


@pytest.mark.slow
def test_a_second_run_is_refused_while_one_goes_on_and_a_killed_one_holds_nothing(tmp_path):
    first = start(f"train.output_dir={tmp_path}", "train.max_iter=1000000", "dataloader.train.num_workers=2")
    try:
        wait_for(lambda: (tmp_path / "last_checkpoint").exists())
        for resume in (False, True):
            with pytest.raises(OutputDirInUseError, match=rf"process {first.pid} on"):
                train(toy_config(tmp_path), resume=resume)
    finally:
        first.kill()
        first.wait()
    # At once, while the workers of the killed one may still be there
    last = int((tmp_path / "last_checkpoint").read_text()[6:13])
    assert train(toy_config(tmp_path, max_iter=last + 3), resume=True)["train"]["iterations"] == last + 3
    assert not (tmp_path / ".run.lock").exists()


def test_what_killed_runs_left_is_removed(tmp_path):
    left = tmp_path / f".partial-{'0' * 16}-model_0000006.safetensors"
    left.write_text("half")
    mine = tmp_path / ".partial-mine"
    mine.write_text("x")
    train(toy_config(tmp_path, max_iter=2))
    assert not left.exists()
    assert mine.exists()


@pytest.mark.parametrize("resume", [False, True])
def test_a_lost_pointer_never_begins_anew(tmp_path, resume):
    with pytest.raises(Stop):
        train(toy_config(tmp_path, hooks=[stop_at(9)]))
    (tmp_path / "last_checkpoint").unlink()
    before = contents(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"There are model_0000006\.safetensors.*echo .*train\.output_dir"
    ):
        train(toy_config(tmp_path), resume=resume)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("change", ["optimizer", "width", "damage"])
def test_a_resume_that_fails_changes_nothing(whole_run, tmp_path, change):
    folder = tmp_path / "out"
    shutil.copytree(whole_run, folder)
    before = contents(folder)
    cfg = toy_config(folder, max_iter=40)
    if change == "optimizer":
        LazyConfig.apply_overrides(cfg, ["optimizer._target_=torch.optim.Adagrad", "~optimizer.momentum"])
    elif change == "width":
        cfg.model.features = 9
    else:
        weights = folder / "model_0000023.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        before = contents(folder)
    with pytest.raises((CheckpointError, RuntimeError)):
        train(cfg, resume=True)
    assert contents(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_saves_a_checkpoint_and_the_run_goes_on_from_it_to_the_same_bits(whole_run, tmp_path, name):
    number = getattr(signal, name)
    done = command(f"train.output_dir={tmp_path}", f"+train.hooks.0.signal_at=[9,{number.value}]")
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "last_checkpoint").read_text() == "model_0000009.safetensors\n"
    assert not (tmp_path / "model_final.safetensors").exists()
    log = (tmp_path / "log.txt").read_text()
    assert f"{name}: stopping after this step" in log
    assert f"stopped by {name} after 10 of 24 iterations" in log
    assert re.search(r"to go on from the last checkpoint: python \S*train_net\.py .*--resume\n", log)
    assert (tmp_path / "results.json").is_file()  # of the evaluation after 6 iterations
    train(toy_config(tmp_path), resume=True)
    same_weights(whole_run, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_to_the_whole_group_with_workers(tmp_path, name):
    run = start(f"train.output_dir={tmp_path}", "train.max_iter=1000000", "dataloader.train.num_workers=2")
    wait_for(lambda: (tmp_path / "last_checkpoint").exists())
    os.killpg(run.pid, getattr(signal, name))
    _, said = run.communicate(timeout=120)
    assert run.returncode == 128 + getattr(signal, name), said
    assert "Traceback" not in said
    told = re.search(rf"stopped by {name} after (\d+) of", (tmp_path / "log.txt").read_text())
    assert told is not None
    stopped = int(told[1])
    assert (tmp_path / "last_checkpoint").read_text() == f"model_{stopped - 1:07d}.safetensors\n"
    assert not (tmp_path / ".run.lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("eval_period", "stopped"), [(6, 5), (0, 23)])
def test_a_signal_ends_an_evaluation_within_a_batch(whole_run, tmp_path, eval_period, stopped):
    counter = tmp_path / "counter"
    slow = f"dataloader.test={{_target_: toy_job.SlowLoader, counter: '{counter}'}}"
    out = tmp_path / "out"
    run = start(f"train.output_dir={out}", f"train.eval_period={eval_period}", slow)
    wait_for(lambda: counter.exists() and counter.read_text().isdigit() and int(counter.read_text()) > 2)
    before = time.monotonic()
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert time.monotonic() - before < 30  # the whole evaluation takes ten minutes
    assert run.returncode == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    assert (out / "last_checkpoint").read_text() == f"model_{stopped:07d}.safetensors\n"
    assert not (out / "results.json").exists()
    cfg = toy_config(out, eval_period=eval_period)
    results = train(cfg, resume=True)
    same_weights(whole_run, out)
    assert results["toy"].keys() == {"error"}
    if eval_period:
        done = [line["iteration"] for line in read_metrics(out / "metrics.json") if "toy/error" in line]
        assert stopped in done


def test_handlers_of_others_are_left_alone(tmp_path):
    seen = []
    before = signal.signal(signal.SIGHUP, lambda *_: seen.append("mine"))
    others = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        train(toy_config(tmp_path, max_iter=3, hooks=[signal_in_step(signal.SIGHUP)]))
        assert {number: signal.getsignal(number) for number in others} == others
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == ["mine"]


def signal_in_step(number):
    def send(trainer):
        if trainer.iter == 1:
            os.kill(os.getpid(), number)

    return L(CallbackHook)(after_step=send)


def test_metrics_after_a_resume_are_those_of_the_whole_run(whole_run, tmp_path):
    with pytest.raises(Stop):
        train(toy_config(tmp_path, hooks=[stop_at(16)]))
    train(toy_config(tmp_path), resume=True)

    def lines(folder):
        kept = read_metrics(folder / "metrics.json")
        return [{k: v for k, v in line.items() if "time" not in k} for line in kept]

    assert lines(tmp_path) == lines(whole_run)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"\xff\xfe\x00garbage\n", 0),
        (b'{"a": 1}\n[1]\n3\n"x"\n', 0),
        (b"[" * 100_000 + b"\n", 0),
        (b'{"iteration": 1, "loss": 2.0}\n{"iteration": "x"}\n', 1),
        (b'{"iteration": 1, "loss": 2.0}\n{"itera', 1),
        (b"", 0),
    ],
)
def test_garbage_in_metrics_stops_no_run(tmp_path, caplog, content, kept):
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    writer = JSONWriter(path)
    storage = EventStorage()
    writer.start(storage, 5, 10)
    storage.iter = 7
    storage.put_scalar("loss", 1.0)
    writer.write(storage)
    writer.close()
    assert [line["iteration"] for line in read_metrics(path)] == [1] * kept + [7]
    aside = tmp_path / "metrics.json.damaged"
    assert aside.exists() == (content.endswith(b"\n"))
    if aside.exists():
        assert aside.read_bytes() == content
        assert "metrics.json.damaged" in caplog.text


@pytest.mark.parametrize("how", ["folder", "link"])
def test_what_is_no_ordinary_file_is_moved_aside(tmp_path, how):
    path = tmp_path / "metrics.json"
    (tmp_path / "victim").write_text("mine")
    path.mkdir() if how == "folder" else path.symlink_to(tmp_path / "victim")
    writer = JSONWriter(path)
    storage = EventStorage()
    writer.start(storage, 0, 10)
    storage.put_scalar("loss", 1.0)
    writer.write(storage)
    writer.close()
    assert json.loads(path.read_text()) == {"iteration": 0, "loss": 1.0}
    assert (tmp_path / "victim").read_text() == "mine"


def test_the_log_is_not_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "log.txt").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"log\.txt is a link"):
        train(toy_config(tmp_path / "out", max_iter=1))
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_run_at_its_end_is_left_as_it_is(tmp_path, caplog):
    found = train(toy_config(tmp_path, max_iter=8))
    before = contents(tmp_path)
    results = train(toy_config(tmp_path, max_iter=5), resume=True)
    assert contents(tmp_path) == before
    assert results.pop("train")["iterations"] == found.pop("train")["iterations"] == 8
    assert results == found
    assert "nothing is left to train: 8 iterations are done and train.max_iter is 5" in caplog.text
    assert f"lazycfg eval {tmp_path}\n" in caplog.text
    assert train(toy_config(tmp_path, max_iter=10), resume=True)["train"]["iterations"] == 10


def test_an_evaluation_that_a_run_did_not_come_to_is_made_up_for(tmp_path):
    def fail(trainer):
        raise Stop

    with pytest.raises(Stop):
        train(toy_config(tmp_path, max_iter=8, eval_period=0, hooks=[CallbackHook(after_train=fail)]))
    assert not (tmp_path / "results.json").exists()
    train(toy_config(tmp_path, max_iter=8, eval_period=0), resume=True)
    assert (tmp_path / "results.json").is_file()


def test_results_are_there_as_soon_as_they_are_found(tmp_path):
    with pytest.raises(Stop):
        train(toy_config(tmp_path, hooks=[stop_at(9)]))
    score = [line["toy/error"] for line in read_metrics(tmp_path / "metrics.json") if "toy/error" in line]
    assert json.loads((tmp_path / "results.json").read_text())["toy"]["error"] == score[-1]


def test_changes_without_effect_and_a_past_end_are_said(tmp_path):
    with pytest.raises(Stop):
        train(toy_config(tmp_path, max_iter=9, hooks=[stop_at(7)]))
    results = train(toy_config(tmp_path, max_iter=5, seed=7), resume=True)
    log = (tmp_path / "log.txt").read_text()
    assert "nothing is left to train: 7 iterations are done and train.max_iter is 5" in log
    assert "without effect on a run that goes on, which takes this from its checkpoint: train.seed\n" in log
    assert "\n- train.max_iter: 9\n+ train.max_iter: 5\n" in log
    assert "iter: 6/5" not in log
    assert results["train"]["iterations"] == 7


def test_what_has_changed_is_told_with_its_path(tmp_path, caplog):
    data = {"seed": 1, "steps": [{"_target_": "dict", "seed": 4}]}
    save_config(Node(train=Node(seed=7, period=2), data=Node(data)), tmp_path)
    data = {"seed": 2, "steps": [{"_target_": "dict", "seed": 5}]}
    save_config(Node(train=Node(seed=7, period=3), data=Node(data)), tmp_path)
    (record,) = caplog.records  # no other seed is taken for that of the training
    assert record.message.splitlines()[1:] == [
        "- train.period: 2", "+ train.period: 3", "- data.seed: 1", "+ data.seed: 2",
        "- data.steps.seed: 4", "+ data.steps.seed: 5",
    ]  # fmt: skip


def test_a_changed_learning_rate_is_obeyed(whole_run, tmp_path):
    with pytest.raises(Stop):
        train(toy_config(tmp_path, hooks=[stop_at(16)]))
    cfg = toy_config(tmp_path)
    cfg.optimizer.lr = 0.3
    train(cfg, resume=True)
    mine, whole = (
        {line["iteration"]: line["lr"] for line in read_metrics(folder / "metrics.json") if "lr" in line}
        for folder in (tmp_path, whole_run)
    )
    assert mine[9] == whole[9]
    assert mine[19] == pytest.approx(3 * whole[19])
    assert "another lr, as the config says: 0.3 instead of 0.1" in (tmp_path / "log.txt").read_text()


def test_a_changed_checkpoint_is_not_evaluated(whole_run, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(whole_run, folder)
    weights = folder / "model_0000023.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"model_0000023\.safetensors is not what was saved"):
        evaluate(toy_config(folder), resume=True)
    (folder / "model_0000023.sha256").unlink()
    assert evaluate(toy_config(folder), resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["pointer", "weights", "trainer", "optimizer", "link", "file"])
def test_the_command_says_in_a_line_what_is_wrong_with_a_folder(whole_run, tmp_path, damage):
    folder = tmp_path / "out"
    shutil.copytree(whole_run, folder)
    more, said = [], ""
    if damage == "pointer":
        (folder / "last_checkpoint").write_bytes(b"\xff\x00\x1b[2J")
        said = "last_checkpoint cannot be read"
    elif damage in ("weights", "trainer"):
        file = (
            folder / {"weights": "model_0000023.safetensors", "trainer": "model_0000023.trainer.pt"}[damage]
        )
        file.write_bytes(file.read_bytes()[:100])
        said = f"{file} is not a file of"
    elif damage == "optimizer":
        more = ["optimizer._target_=torch.optim.Adagrad", "~optimizer.momentum"]
        said = "the checkpoint has the state of SGD, the config has Adagrad"
    elif damage == "link":
        (folder / "log.txt").unlink()
        (folder / "log.txt").symlink_to(tmp_path / "victim")
        said = "log.txt is a link"
    else:
        folder = folder / "config.py"
        said = f"{folder} is no folder"
    done = command(f"train.output_dir={folder}", "train.max_iter=30", *more, "--resume")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr[done.stderr.index("error: ") :]
    assert said in last
    assert len(last.strip().splitlines()) <= 2
