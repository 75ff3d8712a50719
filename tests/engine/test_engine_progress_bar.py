"""The progress bar of a run, on a terminal and where there is none."""

import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from screen import run_on_terminal

from lazycfg.engine.log import run_logging
from lazycfg.engine.progress_bar import ProgressBar

HERE = Path(__file__).parent
TOOL = str(HERE.parents[1] / "tools" / "train_net.py")
TINY = str(HERE / "tiny_mask_rcnn.py")
SMALL = ["train.max_iter=6", "train.log_period=2", "train.eval_period=3", "train.pictures=1",
         "dataloader.test.dataset.num_images=4", "dataloader.train.total_batch_size=2",
         "dataloader.train.num_workers=0", "train.amp.enabled=False", "train.device=cpu"]  # fmt: skip

TOY = """
import logging, os, signal, sys, time, warnings
from lazycfg import LazyConfig
from lazycfg.engine import train, CallbackHook

def noise(trainer):
    time.sleep(0.03)
    logging.getLogger("lazycfg.x").warning("a warning of step %d", trainer.iter)
    warnings.warn(f"python says {trainer.iter}", stacklevel=1)
    print(f"printed {trainer.iter}")
    print(f"told {trainer.iter}", file=sys.stderr)
    if "INTERRUPT_TWICE" in os.environ and trainer.iter == 3:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

cfg = LazyConfig.load(HERE + "/toy_config.py")
LazyConfig.apply_overrides(cfg, sys.argv[1:])
cfg.train.hooks = [CallbackHook(after_step=noise)]
try:
    train(cfg)
except KeyboardInterrupt:
    print("interrupted")
"""


def toy(tmp_path, *overrides, **options):
    file = tmp_path / "run.py"
    file.write_text(f"HERE = {str(HERE)!r}\nimport sys\nsys.path.insert(0, HERE)\n{TOY}")
    return run_on_terminal([str(file), f"train.output_dir={tmp_path}/out", *overrides], **options)


def bars(text):
    return [line for line in text.split("\n") if "━" in line]


def test_a_training_at_80_columns(tmp_path):
    screen, text, code = run_on_terminal(
        [TOOL, "--config-file", TINY, *SMALL, "train.output_dir=out"], cwd=tmp_path
    )
    assert code == 0, text
    assert not screen.too_long
    assert not screen.cursor_hidden
    lines = screen.lines
    end = next(i for i, line in enumerate(lines) if line.startswith("training "))
    assert re.fullmatch(r"training +━+ +6/6 +left 0:00:00 +\S+ (it/s|s/it) +\S+ img/s *", lines[end])
    below = "\n".join(lines[end:])
    for name in ("total_loss", "loss_rpn_cls", "loss_mask", "lr", "data", "memory"):
        assert re.search(rf"\b{name} \d", below), name
    assert re.search(r"evaluation +━+ +1/1 +left", below)
    # Drawn many times, seen once
    assert len(bars(text)) > 6
    assert len(bars("\n".join(lines[:end]))) == 0
    # Tables of the evaluation stand above the bar, and lines of losses in the file only
    assert any(line.split()[:2] == ["AP", "AP50"] for line in lines[:end])
    assert not any("eta:" in line for line in lines)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert log.count("iter: ") == 3


@pytest.mark.slow
def test_nothing_that_is_said_is_lost(tmp_path):
    screen, text, code = toy(tmp_path)
    assert code == 0, text
    lines = [line.rstrip() for line in screen.lines]
    for step in range(24):
        assert sum(line.endswith(f"WARNING: a warning of step {step}") for line in lines) == 1
        assert sum(f"python says {step}" in line.split("UserWarning: ")[-1:] for line in lines) == 1
        assert lines.count(f"printed {step}") == 1
        assert lines.count(f"told {step}") == 1
    assert len(bars("\n".join(lines))) == 2
    assert "━" in "\n".join(lines[-8:])


def test_ctrl_c_leaves_the_terminal_in_order(tmp_path):
    screen, text, code = toy(
        tmp_path, "train.max_iter=2000", "train.eval_period=0", until="printed 9", signal=signal.SIGINT
    )
    assert code == 0, text
    assert not screen.cursor_hidden
    lines = [line.rstrip() for line in screen.lines if line.strip()]
    assert lines[-1] == "interrupted"
    assert any("SIGINT: stopping after this step" in line for line in lines)
    assert len(bars("\n".join(lines))) == 1


@pytest.mark.slow
def test_a_second_ctrl_c_shows_the_cursor_again(tmp_path):
    screen, text, code = toy(tmp_path, env={"INTERRUPT_TWICE": "1"})
    assert code == 0, text
    assert "\x1b[?25l" in text
    assert not screen.cursor_hidden
    assert [line for line in screen.lines if line.strip()][-1].rstrip() == "interrupted"


@pytest.mark.parametrize("how", ["setting", "dumb"])
def test_lines_in_place_of_a_bar(tmp_path, how):
    overrides = ["train.progress_bar=False"] if how == "setting" else []
    screen, text, code = toy(
        tmp_path, *overrides, "train.log_period=8", env={"TERM": "dumb"} if how == "dumb" else {}
    )
    assert code == 0, text
    assert "━" not in text
    assert "\x1b[?25l" not in text
    assert sum("iter: " in line for line in screen.lines) == 3


def test_only_the_main_process_draws(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    library, root = logging.getLogger("lazycfg"), logging.getLogger()
    monkeypatch.setattr(library, "handlers", [])
    monkeypatch.setattr(root, "handlers", [])
    for rank, drawn in ((0, True), (1, False)):
        monkeypatch.setattr("lazycfg.engine.log.get_rank", lambda rank=rank: rank)
        with run_logging(None) as log:
            assert log.on_terminal == drawn
            assert (ProgressBar(log).evaluating is not None) == drawn
            assert ProgressBar(log, enabled=False).evaluating is None


def test_a_pipe_gets_a_line_a_period(tmp_path):
    command = [sys.executable, TOOL, "--config-file", TINY, *SMALL, f"train.output_dir={tmp_path}/out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert sum("iter: " in line for line in done.stderr.split("\n")) == 3


@pytest.mark.slow
def test_standard_output_that_leads_into_a_file_stays_there(tmp_path):
    with open(tmp_path / "stdout", "w") as file:
        screen, text, code = toy(tmp_path, stdout=file)
    assert code == 0, text
    assert "━" in text
    assert not any("printed" in line for line in screen.lines)
    assert (tmp_path / "stdout").read_text().split("\n")[:2] == ["printed 0", "printed 1"]


def test_a_wrong_setting_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, TOOL, "--config-file", TINY, "++train.progress_bar=no_bar"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "train.progress_bar='no_bar': expected true or false" in done.stderr
