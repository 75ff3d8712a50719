"""A run that was killed and resumed ends as the run that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_job import plain_loader
from two_process_runs import QUIET

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.engine import CallbackHook, OutputDirInUseError, evaluate, train
from lazycfg.engine.run_lock import lock_folder
from lazycfg.engine.writers import read_metrics

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIG = HERE / "toy_config.py"


def toy_config(output_dir, **settings):
    cfg = LazyConfig.load(CONFIG)
    cfg.train.update(output_dir=str(output_dir), **settings)
    return cfg


def run_python(*arguments, processes=1):
    """A script in a process of its own, or under torchrun."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def command(*arguments, processes=1):
    """The training script with the toy job."""
    script = ROOT / "tools" / "train_net.py"
    return run_python(script, "--config-file", CONFIG, *arguments, processes=processes)


class Stop(Exception):
    """Raised by a hook in place of an accident."""


def stop_at(iteration):
    def stop(trainer):
        if trainer.iter == iteration:
            raise Stop

    return L(CallbackHook)(after_step=stop)


def same_weights(a, b):
    first, second = (load_file(Path(folder) / "model_final.safetensors") for folder in (a, b))
    assert first.keys() == second.keys()
    different = [key for key in first if not torch.equal(first[key], second[key])]
    assert not different


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(toy_config(folder))
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_resumes_to_the_same_bits(whole_run, tmp_path):
    # Evaluation at 17, checkpoint at 13: the resumed run repeats both steps and evaluation
    killed = command(f"train.output_dir={tmp_path}", "train.hooks.0.iteration=18")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "last_checkpoint").read_text().strip() == "model_0000013.safetensors"

    results = train(toy_config(tmp_path), resume=True)
    assert results["train"]["iterations"] == 24
    same_weights(whole_run, tmp_path)

    def lines(folder):
        kept = read_metrics(folder / "metrics.json")
        return [{k: v for k, v in line.items() if "loss" in k or k in ("iteration", "lr")} for line in kept]

    # The steps done twice are written once, with the medians of the whole run
    assert lines(tmp_path) == lines(whole_run)
    log = (tmp_path / "log.txt").read_text()
    assert "resumed from" in log
    assert "going on after 14 of 24 iterations" in log


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_killed_while_it_wrote_a_checkpoint_resumes_from_the_one_before(whole_run, tmp_path):
    killed = command(f"train.output_dir={tmp_path}", "+train.hooks.0.in_save=2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "last_checkpoint").read_text().strip() == "model_0000006.safetensors"
    assert not (tmp_path / "model_0000013.safetensors").exists()
    train(toy_config(tmp_path), resume=True)
    same_weights(whole_run, tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_of_data_does_not_depend_on_workers_and_survives_resuming(whole_run, tmp_path, workers):
    cfg = toy_config(tmp_path, hooks=[stop_at(9)])
    cfg.dataloader.train.num_workers = workers
    with pytest.raises(Stop):
        train(cfg)
    cfg.train.hooks = []
    train(cfg, resume=True)
    same_weights(whole_run, tmp_path)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_torch_loader_resumes_too(tmp_path, workers):
    def job(name, hooks=()):
        cfg = toy_config(tmp_path / name, hooks=list(hooks))
        cfg.model.noise = (
            False  # without workers, data and model would draw from the same generators in turns
        )
        cfg.dataloader.train = L(plain_loader)(num_workers=workers)
        return cfg

    train(job("whole"))
    with pytest.raises(Stop):
        train(job("stopped", [stop_at(16)]))  # the checkpoint at 13 is in the middle of the third pass
    train(job("stopped"), resume=True)
    same_weights(tmp_path / "whole", tmp_path / "stopped")


def test_evaluating_more_often_trains_the_same_model(whole_run, tmp_path):
    train(toy_config(tmp_path, eval_period=2))
    same_weights(whole_run, tmp_path)


def test_an_evaluation_that_was_not_finished_is_made_up_for(tmp_path):
    cfg = toy_config(tmp_path, eval_period=12)
    cfg.train.checkpointer.period = 12
    good = cfg.dataloader.evaluator
    cfg.dataloader.evaluator = L(FailingEvaluator)()
    with pytest.raises(RuntimeError, match="out of memory"):
        train(cfg)
    cfg.dataloader.evaluator = good
    train(cfg, resume=True)
    evaluated = [line["iteration"] for line in read_metrics(tmp_path / "metrics.json") if "toy/error" in line]
    assert evaluated == [11, 23]


class FailingEvaluator:
    def reset(self):
        pass

    def process(self, inputs, outputs):
        pass

    def evaluate(self):
        raise RuntimeError("out of memory")


def test_another_run_is_not_written_over(whole_run):
    before = {path: path.stat().st_mtime_ns for path in whole_run.iterdir()}
    with pytest.raises(OutputDirInUseError, match="--resume"):
        train(toy_config(whole_run))
    assert {path: path.stat().st_mtime_ns for path in whole_run.iterdir()} == before


def test_a_finished_run_can_be_made_longer(whole_run, tmp_path):
    cfg = toy_config(tmp_path, max_iter=12)
    train(cfg)
    results = train(toy_config(tmp_path), resume=True)
    assert results["train"]["iterations"] == 24
    assert "the config has changed since this run began" in (tmp_path / "log.txt").read_text()


def test_the_saved_config_describes_the_run(whole_run, tmp_path):
    for name in ("config.yaml", "config.py"):
        cfg = LazyConfig.load(whole_run / name, trusted=True)  # it names the parts of the test
        cfg.train.output_dir = str(tmp_path / name)
        train(cfg)
        same_weights(whole_run, tmp_path / name)


def test_evaluate_finds_the_numbers_of_the_training(whole_run, tmp_path):
    cfg = toy_config(whole_run)
    found = evaluate(cfg, resume=True)
    last = [line for line in read_metrics(whole_run / "metrics.json") if "toy/error" in line][-1]
    assert found["toy"]["error"] == pytest.approx(last["toy/error"])
    weights = whole_run / "model_final.safetensors"
    assert evaluate(toy_config(tmp_path), weights=weights) == found
    assert evaluate(toy_config(tmp_path, init_checkpoint=str(weights))) == found
    with pytest.raises(ValueError, match="no weights to evaluate"):
        evaluate(toy_config(tmp_path))


@pytest.mark.slow
def test_the_folder_of_an_interrupted_evaluation_is_taken_again(whole_run, tmp_path, monkeypatch):
    from lazycfg.engine import jobs

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    weights = whole_run / "model_final.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "run_evaluation", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(toy_config(tmp_path), weights=weights)
    (folder,) = (tmp_path / "evaluation").iterdir()
    assert [path.name for path in folder.iterdir()] == ["log.txt"]
    with lock_folder(folder):  # by another evaluation, which goes on
        evaluate(toy_config(tmp_path), weights=weights)
    assert (tmp_path / "evaluation" / "model_final_2" / "results.json").is_file()
    evaluate(toy_config(tmp_path), weights=weights)
    assert (folder / "results.json").is_file()
    evaluate(toy_config(tmp_path), weights=weights)
    names = ["model_final", "model_final_2", "model_final_3"]
    assert sorted(path.name for path in (tmp_path / "evaluation").iterdir()) == names


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_two_processes_resume_to_the_same_bits_and_learn_what_one_learns(tmp_path):
    killed = run_python(HERE / "two_process_runs.py", tmp_path, processes=2)
    assert killed.returncode != 0
    assert (tmp_path / "killed" / "last_checkpoint").read_text().strip() == "model_0000013.safetensors", (
        killed.stderr
    )
    resumed = command(f"train.output_dir={tmp_path / 'killed'}", "--resume", processes=2)
    assert resumed.returncode == 0, resumed.stderr
    # Each process has generators and running statistics of its own
    same_weights(tmp_path / "whole", tmp_path / "killed")

    # The same losses as one process with the same total batch
    cfg = LazyConfig.load(CONFIG)
    LazyConfig.apply_overrides(cfg, [f"train.output_dir={tmp_path / 'one'}", *QUIET])
    train(cfg)
    two, one = (read_metrics(tmp_path / name / "metrics.json") for name in ("two", "one"))
    losses = [[line["loss_fit"] for line in lines if "loss_fit" in line] for lines in (two, one)]
    assert len(losses[0]) == 24
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_what_one_process_meets_is_told_by_all(tmp_path):
    done = run_python(HERE / "two_process_refusal.py", CONFIG, tmp_path / "out", processes=2)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n"))[-2:] == ["process 0 refused", "process 1 refused"]
    assert not (tmp_path / "out").exists()
