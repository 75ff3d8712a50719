"""tools/train_net.py: what it does, and what it says to those who mistype."""

import importlib.util
import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CONFIG = str(HERE / "toy_config.py")


@pytest.fixture(scope="module")
def main():
    spec = importlib.util.spec_from_file_location("train_net", HERE.parents[1] / "tools" / "train_net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_train_resume_evaluate(main, tmp_path):
    out = f"train.output_dir={tmp_path}"
    assert main(["--config-file", CONFIG, out, "train.max_iter=6"]) == 0
    assert main(["--config-file", CONFIG, "train.max_iter=8", "--resume", out]) == 0
    trained = json.loads((tmp_path / "results.json").read_text())
    assert main(["--config-file", CONFIG, "--eval-only", "--resume", out]) == 0
    evaluated = tmp_path / "evaluation" / "model_0000007" / "results.json"
    assert json.loads(evaluated.read_text()) == trained
    weights = f"train.init_checkpoint={tmp_path}/model_final.safetensors"
    assert main(["--config-file", CONFIG, "--eval-only", f"train.output_dir={tmp_path}/eval", weights]) == 0
    evaluated = tmp_path / "eval" / "evaluation" / "model_final" / "results.json"
    assert json.loads(evaluated.read_text()) == trained
    resume = ["--config-file", str(tmp_path / "config.yaml"), "--resume", "train.max_iter=9"]
    assert main(resume) == 2  # a data file that names the code of toy_job.py
    assert main([*resume, "--trusted"]) == 0


def test_a_moved_run_is_not_passed_by(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--config-file", CONFIG, "train.output_dir=out", "train.max_iter=2"]) == 0
    (tmp_path / "out").rename(tmp_path / "moved")
    resume = ["--config-file", "moved/config.yaml", "--trusted", "--resume", "train.max_iter=3"]
    for more in ([], ["--eval-only"]):
        assert main([*resume, *more]) == 2
        told = capsys.readouterr().err
        assert "was the folder moved?" in told
        assert "train.output_dir=moved or train.output_dir=out" in told
    assert not (tmp_path / "out").exists()
    assert main([*resume, "train.output_dir=moved"]) == 0
    assert (tmp_path / "moved" / "model_0000002.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config-file", "no_such_config.py"], ["no_such_config.py"]),
        (
            ["--config-file", CONFIG, "train.max_itre=3", "optimizer.lrr=1"],
            ["max_iter", "train.max_itre", "lrr"],
        ),
        (["--config-file", CONFIG, "+train.max_itre=3"], ["unknown setting train.max_itre", "'max_iter'"]),
        (["--config-file", CONFIG, "train.max_iter=0"], ["train.max_iter=0", "at least 1"]),
        (["--config-file", CONFIG, "train.amp.enabled=True", "train.amp.dtype=int8"], ["bfloat16"]),
        (["--config-file", CONFIG, "train.device=cuda:77"], ["cuda:77"]),
        (["--config-file", CONFIG, "~dataloader.train"], ["no dataloader.train", "test, evaluator"]),
        (["--config-file", CONFIG, "~model"], ["no model"]),
        (["--config-file", CONFIG, "optimizer=None"], ["no optimizer: optimizer is None"]),
        (["--config-file", CONFIG, "dataloader.train=None"], ["dataloader.train is None"]),
        (["--config-file", CONFIG, "+model.depth=3"], ["depth", "ToyModel"]),
        (["--config-file", CONFIG, "train.init_checkpoint=nowhere.pth"], ["nowhere.pth"]),
        (["--config-file", CONFIG, "--eval-only"], ["no weights to evaluate", "--resume"]),
        (["--config-file", CONFIG, "--eval-only", "--resume"], ["last_checkpoint"]),
    ],
)
def test_mistakes_are_told_without_a_traceback(main, tmp_path, capsys, arguments, said):
    assert main([*arguments, f"train.output_dir={tmp_path / 'out'}"]) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert text.startswith("error: ") or "\nerror: " in text
    for part in said:
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--config-file"),
        (["--config-file", CONFIG, "--reusme"], "--reusme"),
        (["--config-file", CONFIG, "--num-gpus", "2"], "torchrun"),
    ],
)
def test_wrong_options_end_with_the_usage(main, capsys, arguments, said):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_folder_in_use_is_refused(main, tmp_path, capsys):
    out = f"train.output_dir={tmp_path}"
    assert main(["--config-file", CONFIG, out, "train.max_iter=2"]) == 0
    assert main(["--config-file", CONFIG, out, "train.max_iter=2"]) == 2
    assert "holds a run already" in capsys.readouterr().err


@pytest.fixture(scope="module")
def odd_config(tmp_path_factory):
    """A config file over a data set of which one training image is cut off."""
    from odd_runs import job, write_data

    from lazycfg import LazyConfig

    folder = tmp_path_factory.mktemp("odd")
    files = [write_data(folder, name, count=8) for name in ("train", "val")]
    LazyConfig.save(job(folder, *files), folder / "odd.py")
    image = folder / "train5.png"
    image.write_bytes(image.read_bytes()[:100])
    return str(folder / "odd.py")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_data_is_one_message(main, odd_config, tmp_path, capsys, workers):
    out = [f"train.output_dir={tmp_path / 'out'}", "train.max_iter=8"]
    late = ["train.preflight=false", f"dataloader.train.num_workers={workers}"]
    assert main(["--config-file", odd_config, *out]) == 2
    assert "train5.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["--config-file", odd_config, *out, *late]) == 2
    said = capsys.readouterr().err.partition("error: ")[2]
    assert "train5.png" in said
    assert "Traceback" not in said
    with pytest.raises(Exception, match=r"train5\.png"):
        main(["--config-file", odd_config, *out, "--resume", *late, "--traceback"])
