"""`lazycfg analyze`, `benchmark` and `env`."""

import os
from pathlib import Path

import pytest

from lazycfg import LazyConfig
from lazycfg.cli.main import main
from lazycfg.engine import SettingsError
from lazycfg.engine.benchmarking import benchmark

ENGINE = Path(__file__).parents[1] / "engine"
TOY = str(ENGINE / "toy_config.py")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ENGINE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        assert max(map(len, captured.out.splitlines()), default=0) <= 80
        return status, captured.out, captured.err

    return call


def numbers(line):
    return [float(word.replace(",", "")) for word in line.split()[1:]]


def test_analyze_a_detector(run):
    status, out, _ = run("analyze", "COCO-Detection/retinanet_R_50_FPN_1x", "--input-size", "128x256")
    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.startswith(("model", "  "))}
    parameters, trained, flops, activations = numbers(rows["model"])
    assert 37e6 < trained < parameters < 39e6
    inner = [numbers(rows[name]) for name in ("backbone", "head")]
    assert [sum(column) for column in zip(*inner, strict=True)] == pytest.approx(
        [parameters, trained, flops, activations], rel=1e-3
    )
    assert "bottom_up" in rows
    shallow = run(
        "analyze", "COCO-Detection/retinanet_R_50_FPN_1x", "--input-size", "128x256", "--depth", "1"
    )
    assert "bottom_up" not in shallow[1]
    assert numbers(next(line for line in shallow[1].splitlines() if line.startswith("model")))[2] == flops


def test_analyze_what_is_counted_by_hand(run):
    Path("c.py").write_text(
        "from torch import nn\nfrom lazycfg import LazyCall as L\n"
        "model = L(nn.Conv2d)(in_channels=3, out_channels=8, kernel_size=1)\n"
    )
    status, out, _ = run("analyze", "c.py", "--input-size", "20000x1000", "--parameters", "--structure")
    assert status == 0
    model = next(line for line in out.splitlines() if line.startswith("model "))
    # 2 * 3 multiplications and additions for each of 8 * 20,000,000 numbers
    assert numbers(model) == [32, 32, 0.96, 160.0]
    assert "(8, 3, 1, 1)" in out
    assert "Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))" in out


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("x = 1\n", (), "c.py has no model"),
        ("model = dict(a=1)\n", (), "model builds a dict, not a torch.nn.Module"),
        ("from lazycfg import LazyCall as L\nfrom torch import nn\nmodel = L(nn.Linear)(3, -4)\n", (),
         "the model cannot be built"),
        ("model = 1\n", ("--input-size", "big"), "--input-size 'big' is not of the form"),
        ("model = 1\n", ("--depth", "-1"), "--depth is 0 or more, not -1"),
    ],
)  # fmt: skip
def test_analyze_mistakes(run, text, words, said):
    Path("c.py").write_text(text)
    status, out, err = run("analyze", "c.py", *words)
    assert (status, out) == (2, "")
    assert said in err


def test_benchmark(run):
    status, out, err = run("benchmark", TOY, "--iterations", "5", "--warmup", "1")
    assert (status, err) == (0, "")
    first, head, *rows = out.splitlines()
    assert first.startswith("on cpu with ")
    assert head.split()[:2] == ["task", "images/s"]
    assert [row.split()[0] for row in rows] == ["data", "train", "eval"]
    for row, batch in zip(rows, (4, 4, 2), strict=True):
        images, milliseconds, slowest, images_in_batch = numbers(row)
        assert images_in_batch == batch
        assert images > 0
        assert slowest >= milliseconds
    assert os.listdir() == []
    out = run("benchmark", TOY, "--task", "eval", "~optimizer")[1]
    assert [row.split()[0] for row in out.splitlines()[2:]] == ["eval"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--iterations", "0"), "--iterations 0 must be at least 1"),
        (("--warmup", "-1"), "--warmup -1 must be at least 0"),
        (("--task", "train", "~optimizer"), "the config has no optimizer"),
        (("--task", "eval", "dataloader.test=null"), "the config has no dataloader.test"),
        (("--task", "speed"), "unknown --task 'speed'"),
        (("train.device=gpu",), "train.device='gpu'"),
    ],
)
def test_benchmark_mistakes(run, capsys, words, said):
    try:
        status, _, err = run("benchmark", TOY, *words)
    except SystemExit as leaving:
        status, err = leaving.code, capsys.readouterr().err
    assert status == 2
    assert said in err


@pytest.mark.slow
def test_steps_of_the_benchmark_train(run):
    cfg = LazyConfig.load(TOY)
    cfg.train.accumulate = 2
    told = []
    (speed,) = benchmark(cfg, ["train"], iterations=3, warmup=0, tell=told.append)
    assert told == [speed]
    assert (speed.task, speed.iterations, speed.images, speed.memory) == ("train", 3, 8, 0)
    assert speed.images_per_second == 8 / speed.seconds
    with pytest.raises(SettingsError, match="'fly' is no task"):
        benchmark(cfg, ["fly"])


def test_env(capsys):
    assert main(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("lazycfg ")
    assert any(line.startswith("PyTorch ") for line in lines)
