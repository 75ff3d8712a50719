"""The command `runs`: several runs side by side, from their files alone."""

import csv
import io
import json
import subprocess
import sys

import pytest

from lazycfg.cli.main import main

CONFIG = """\
train:
  output_dir: {folder}
  max_iter: {max_iter}
optimizer:
  _target_: torch.optim.SGD
  lr: {lr}
"""


def make(folder, scores=(), *, lr=0.1, max_iter=30, end="finished", losses=(3.0, 1.0, 2.0), task="bbox/AP"):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder, max_iter=max_iter, lr=lr))
    lines = [{"iteration": 10 * i + 9, "total_loss": loss} for i, loss in enumerate(losses)]
    for line, score in zip(lines, scores, strict=False):
        line |= {task: score, f"{task}-cat": 9.0, "rpn/anchors": 3.0}
    (folder / "metrics.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "details.json").write_text(json.dumps({"tasks": {task.split("/")[0]: {}} if scores else {}}))
    record = {"max_iter": max_iter, "starts": [{"iteration": 0}]}
    if end:
        record["end"] = {"reason": end, "iteration": 10 * len(lines), "seconds": 61.0}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*words):
        status = main(["runs", *words])
        captured = capsys.readouterr()
        assert all(len(line) <= 80 for line in captured.out.splitlines()) or "--format" in words
        return status, captured.out, captured.err

    return run


def test_runs_side_by_side(call, tmp_path):
    make(tmp_path / "out" / "a", [10.0, 33.25, 31.5])
    make(tmp_path / "out" / "b", [20.0, 30.0], lr=0.2, max_iter=90, end="")
    status, text, _ = call("out/a", "out/b")
    assert status == 0
    assert (
        text
        == """\
run    iterations     time  bbox/AP   best
out/a          30  0:01:01    31.50  33.25
out/b    30 of 90        -    30.00  30.00

out/b: not finished: running or killed, 30 of 90 iterations are known

What differs in their configs:
  train.max_iter
    30: out/a
    90: out/b
  optimizer.lr
    0.1: out/a
    0.2: out/b
"""
    )
    # A folder of runs stands for them
    assert call("out")[1] == text
    assert call("out", "out/a/")[1] == text
    assert call("out", "--sort", "bbox/AP-cat")[1].startswith("run    iterations")
    _, text, _ = call("out", "--sort", "total_loss", "--metric", "bbox/AP")
    assert "total_loss  best" in text
    assert "1.00" in text


def test_the_best_comes_first(call, tmp_path):
    for name, score, loss in [("a", 1.0, 3.0), ("b", None, 1.0), ("c", 3.0, 2.0), ("d", 2.0, float("nan"))]:
        make(tmp_path / name, [score], losses=[loss])

    def order(*words):
        return "".join(row["run"] for row in json.loads(call(*"abcd", "--format", "json", *words)[1]))

    assert order() == "abcd"
    assert order("--sort", "bbox/AP") == "cdab"
    assert order("--sort", "total_loss") == "bcad"
    assert order("--sort", "run") == "abcd"
    rows = json.loads(call(*"ab", "--format", "json")[1])
    assert rows[0]["metrics"]["bbox/AP"] == {
        "last": 1.0,
        "last_after": 10,
        "best": 1.0,
        "best_after": 10,
    }
    assert rows[1]["metrics"]["bbox/AP"] is None
    assert rows[0]["config"] == {}


def test_for_a_spreadsheet(call, tmp_path):
    make(tmp_path / "a", [10.0, 5.0])
    make(tmp_path / "b", [20.0], lr=0.2, task="sem_seg/mIoU")
    rows = list(csv.DictReader(io.StringIO(call("a", "b", "--format", "csv")[1])))
    assert rows[0]["run"] == "a"
    assert rows[0]["bbox/AP best"] == "10.0"
    assert rows[0]["bbox/AP last"] == "5.0"
    assert rows[0]["bbox/AP best_after"] == "10"
    assert rows[0]["sem_seg/mIoU best"] == ""
    assert [row["optimizer.lr"] for row in rows] == ["0.1", "0.2"]


def test_many_metrics_and_long_names_keep_to_the_width(call, tmp_path):
    name = "a_name_that_is_longer_than_a_column_of_the_table"
    folder = make(tmp_path / name, [1.0])
    results = {f"task_{i}": {"quality_of_things": 0.001 * i, "more": 2} for i in range(7)}
    (folder / "results.json").write_text(json.dumps(results))
    _, text, _ = call(name)
    for i in range(7):
        assert f"task_{i}/quality_of_things" in text
    assert "...nger_than_a_column_of_the_table " in text
    assert "more" not in text


def test_the_metric_that_chose_the_best_weights(call, tmp_path):
    folder = make(tmp_path / "a", [1.0])
    (folder / "results.json").write_text(json.dumps({"bbox": {"AP": 1.0, "AP50": 7.5}}))
    (folder / "config.yaml").write_text("train:\n  best_metric: bbox/AP50\n")
    assert "bbox/AP50  best" in call("a")[1]


def test_what_cannot_be_compared_is_told(call, tmp_path):
    make(tmp_path / "a", [1.0])
    folder = make(tmp_path / "b", [2.0], lr=0.3)
    (folder / "config.yaml").write_text("train: [\n")
    with open(folder / "metrics.json", "a") as file:
        file.write('{"iteration": 31, "bbox/')  # of a run that was killed
    status, text, _ = call("a", "b")
    assert status == 0
    assert "b/config.yaml is not compared: " in text
    assert "2.00" in text
    assert "What differs" not in text
    (tmp_path / "empty" / "x").mkdir(parents=True)
    for words, message in [
        (("a", "nowhere"), "nowhere is not the folder of a run: there is no such folder"),
        (("empty",), "empty is not the folder of a run: it has none of config.yaml, config.py, metrics.json"),
        (("empty",), ", nor are there runs in it"),
        (
            ("a", "--metric", "bbox/APP"),
            "none of these runs has a metric 'bbox/APP'; did you mean 'bbox/AP'?",
        ),
        (("a", "--sort", "xyz"), "none of these runs has a metric 'xyz'; there are bbox/AP, total_loss"),
    ]:
        status, text, error = call(*words)
        assert status == 2
        assert text == ""
        assert message in error


def test_of_many_metrics_the_results_are_told_first(call, tmp_path):
    folder = make(tmp_path / "a", [1.0])
    line = {"iteration": 9, **{f"loss_{number}": 1.0 for number in range(20)}}
    (folder / "metrics.json").write_text(
        json.dumps(line) + "\n" + json.dumps({"iteration": 29, "bbox/AP": 1.0})
    )
    error = call("a", "--sort", "xyz")[2]
    assert "there are bbox/AP, loss_0, " in error
    assert error.endswith(", loss_10 and 9 more\n")


def test_runs_are_read_without_torch(tmp_path):
    make(tmp_path / "a", [1.0])
    make(tmp_path / "b", [2.0], lr=0.3)
    code = (
        "import sys; from lazycfg.cli import main; main(sys.argv[1:]); "
        "print({'torch', 'numpy', 'omegaconf'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code, "runs", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
    assert "optimizer.lr" in done.stdout
