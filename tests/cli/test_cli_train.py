"""`lazycfg train` and `eval`: the code behind tools/train_net.py, with the words of the other commands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lazycfg import LazyConfig
from lazycfg.cli.main import main
from lazycfg.cli.parser import command_names, parser_of
from lazycfg.engine import train

ENGINE = Path(__file__).parents[1] / "engine"
CONFIG = str(ENGINE / "toy_config.py")


@pytest.fixture
def trained(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ENGINE))
    monkeypatch.chdir(tmp_path)
    assert main(["train", CONFIG, "train.output_dir=out", "train.max_iter=6"]) == 0
    capsys.readouterr()
    return tmp_path / "out"


def test_train_resume_eval(trained):
    assert main(["train", "out", "--trusted", "--resume", "train.max_iter=8"]) == 0
    found = json.loads((trained / "results.json").read_text())
    assert main(["eval", "out", "--trusted"]) == 0
    assert json.loads((trained / "evaluation/model_final/results.json").read_text()) == found
    assert main(["eval", CONFIG, "train.output_dir=other", "--weights", "out/model_final.safetensors"]) == 0
    assert json.loads(Path("other/evaluation/model_final/results.json").read_text()) == found
    assert main(["train", CONFIG, "--eval-only", "--resume", "train.output_dir=out"]) == 0
    assert json.loads((trained / "evaluation/model_0000007/results.json").read_text()) == found


def test_eval_of_a_config_whose_run_is_finished_names_the_folder_of_the_run(trained, capsys):
    assert main(["eval", CONFIG, "train.output_dir=./out"]) == 2
    said = capsys.readouterr().err
    assert "give the folder of its run, lazycfg eval out, or --weights FILE" in said


def test_a_run_that_was_moved_is_not_evaluated_into_its_old_folder(trained, capsys):
    shutil.copytree("out", "elsewhere/moved")
    before = sorted(trained.rglob("*"))
    for words in (["eval", "elsewhere/moved"], ["eval", "elsewhere/moved", "--resume"]):
        assert main([*words, "--trusted"]) == 2
        assert "Say which is meant: train.output_dir=elsewhere/moved or" in capsys.readouterr().err
    assert sorted(trained.rglob("*")) == before
    assert main(["eval", "elsewhere/moved", "--trusted", "train.output_dir=elsewhere/moved"]) == 0
    assert Path("elsewhere/moved/evaluation/model_final/results.json").is_file()
    assert sorted(trained.rglob("*")) == before


def test_the_folder_of_a_run_is_a_data_file_that_is_not_trusted(trained, capsys):
    assert main(["eval", "out"]) == 2
    assert "add --allow NAME" in capsys.readouterr().err
    names = ("toy_job", "toy_job.toy_loader", "toy_job.toy_test_loader")
    assert main(["eval", "out", *(f"--allow={name}" for name in names)]) == 0


def test_weights_of_another_model_are_told_with_what_can_be_typed(trained, capsys):
    from safetensors.torch import load_file, save_file

    weights = load_file(trained / "model_final.safetensors")
    last = list(weights)[-1]
    save_file({**weights, last: weights[last].new_zeros(17, 3)}, "other.safetensors")
    assert main(["eval", CONFIG, "train.output_dir=other", "--weights", "other.safetensors"]) == 2
    told = capsys.readouterr().err
    assert "the weights in other.safetensors do not fit the model\n" in told
    assert "remedy: give the config that these weights were trained with, or the run's folder" in told
    assert "strict=" not in told
    assert "ignore=" not in told


def test_a_run_from_a_saved_config_with_classes_of_ones_own_is_recorded(trained, capsys):
    own = "\n\nclass Narrow(ToyModel):\n    pass\n\n\nmodel = L(Narrow)(noise=False)\n"
    Path("own.py").write_text(Path(CONFIG).read_text() + own)
    assert main(["train", "own.py", "train.output_dir=first", "train.max_iter=2"]) == 0
    assert "_source_" in Path("first/config.yaml").read_text()
    words = ["train", "first", "--trusted", "train.output_dir=again", "train.max_iter=3"]
    assert main(words) == 0
    assert "could not write" not in capsys.readouterr().err
    record = json.loads(Path("again/run.json").read_text())
    assert record["config"]["parent"] == str(Path("first/config.yaml").resolve())
    assert any("train.max_iter" in change for change in record["config"]["changes"])
    assert not any("Narrow" in change for change in record["config"]["changes"])
    assert record["end"]["reason"] == "finished"


def test_a_record_without_the_config_that_it_began_as(trained):
    cfg = LazyConfig.load(trained / "config.yaml", trusted=True)
    cfg.train.update(output_dir="again", max_iter=2)
    train(cfg)
    record = json.loads(Path("again/run.json").read_text())
    assert record["config"]["changes_unknown"].startswith("UntrustedError: ")
    assert record["environment"]
    assert "Not known: the file could not be read again" in Path("again/report.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train nowhere.py", "error: no config file 'nowhere.py'"),
        ("train .", "error: no config file '.', also not in the model zoo, but a folder without"),
        (f"train {CONFIG} train.max_itre=3", "did you mean 'max_iter'?"),
        (f"train {CONFIG} train.max_iter=0", "train.max_iter=0: expected a whole number of at least 1"),
        (f"eval {CONFIG}", "no weights to evaluate"),
        (f"eval {CONFIG} --weights none.pth", "none.pth"),
    ],
)
def test_mistakes_are_told_without_a_traceback(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ENGINE))
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_a_run_without_weights_is_not_evaluated(trained, capsys):
    for path in [*trained.glob("*.safetensors"), *trained.glob("*checkpoint*")]:
        path.unlink()
    assert main(["eval", "out", "--trusted"]) == 2
    assert "out holds no weights: neither model_final.safetensors nor a checkpoint" in capsys.readouterr().err


def test_weights_are_given_once(capsys):
    assert main(["eval", CONFIG, "--weights", "a.pth", "--resume"]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.slow
def test_the_sweep_trains_by_default(trained):
    shutil.copy(CONFIG, "c.py")
    sizes = "dataloader.train.total_batch_size=2,4"
    words = ["sweep", "c.py", "train.output_dir=swept", "train.max_iter=2", sizes, "--run"]
    done = subprocess.run(
        [sys.executable, "-m", "lazycfg", *words],
        capture_output=True, text=True, env={"PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" -m lazycfg train c.py ") == 2
    assert len(list(Path("swept").glob("*/model_final.safetensors"))) == 2


@pytest.mark.parametrize("command", [None, *command_names()])
def test_help_fits_a_terminal_of_80_columns(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as leaving:
        main([*([command] if command else []), "--help"])
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    if command:
        for action in parser_of(command)._actions:
            assert action.help, (command, action.dest)
