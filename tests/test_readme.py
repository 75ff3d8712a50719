"""Every command and program of README.md, as it stands there, in a process of its own."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
# Added to trainings, so that they take seconds
SHORT = ["train.max_iter=2", "train.device=cpu", "train.pictures=1", "dataloader.train.total_batch_size=2"]
SHAPES = [*SHORT, "dataloader.test.dataset.num_images=2"]


@dataclass(frozen=True)
class Command:
    """How a command of the README is run here.

    Attributes:
        start: how it begins.
        more: arguments to add.
        without: arguments to leave out: files that would have to be downloaded, and what `more` sets.
        status: that it ends with.
        said: part of what it prints.
        anywhere: it must also work in an empty folder.
        skip: why it cannot be run here.
    """

    start: str
    more: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    status: int = 0
    said: str = ""
    anywhere: bool = False
    skip: str = ""


QUICKSTART = "python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py"
COMMANDS = [
    Command("pip install", skip=".ci/run installs so"),
    Command("pytest", skip="this is it"),
    Command(
        QUICKSTART + " train.max_iter=100",
        more=(*SHAPES, "train.output_dir=changed"),
        without=("train.max_iter=100",),
        said="total_loss",
    ),
    Command(QUICKSTART, more=tuple(SHAPES), said="total_loss"),
    Command("lazycfg explain model_zoo/", said="mask_rcnn_shapes.py"),
    Command("lazycfg diff model_zoo/", status=1, said="box_predictor"),
    Command("lazycfg check COCO-", status=1, said="128", anywhere=True),
    Command("lazycfg graph COCO-", anywhere=True),
    Command(
        "python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_coco_json.py",
        more=(*SHORT, "image.size=64", "image.max_size=64", "model.backbone.bottom_up.freeze_at=0"),
        without=("train.init_checkpoint=R-50.pkl",),
        said="total_loss",
    ),
    Command("torchrun --nproc-per-node 8", skip="eight GPUs and COCO"),
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def commands() -> list[str]:
    """The lines of all bash blocks, without comments; those joined by ``&&`` apart."""
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()]
    return [part.strip() for line in lines if line for part in line.split("&&")]


def entry(command: str) -> Command:
    plain = " ".join(command.split())
    found = [each for each in COMMANDS if plain.startswith(each.start)]
    assert found, f"README.md has a command that is not tested: {command}"
    return max(found, key=lambda each: len(each.start))


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    if arguments[0] == "python":
        arguments = [sys.executable, *arguments[1:]]
    else:
        arguments = [str(programs / arguments[0]), *arguments[1:]]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder like a checkout, with data of one's own and two photos, in which outputs may be left."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tools", "model_zoo", "projects"):
        (folder / name).symlink_to(ROOT / name)
    from lazycfg.data import ShapesDataset

    for number, name in enumerate(("train", "val")):
        annotations, _ = ShapesDataset(num_images=4, image_size=64, seed=number).export_coco(folder / name)
        text = annotations.read_text()
        for image in (folder / name).rglob("*.png"):
            text = text.replace(f'"{image.name}"', f'"{image.relative_to(folder)}"')
        (folder / f"{name}.json").write_text(text)
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def trained(checkout):
    """The quickstart's run, made by its command."""
    if not (checkout / "output" / "quickstart" / "model_final.safetensors").is_file():
        done = run([*shlex.split(QUICKSTART), *SHAPES], checkout)
        assert done.returncode == 0, done.stderr
    return checkout


def test_all_commands_are_here():
    assert len(commands()) > 8
    seen = [entry(command) for command in commands()]
    assert [each.start for each in COMMANDS if each not in seen] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if not entry(c).skip])
def test_a_command(command, checkout, tmp_path):
    how = entry(command)
    arguments = [part for part in shlex.split(command) if part not in how.without]
    for place in (checkout, tmp_path) if how.anywhere else (checkout,):
        done = run([*arguments, *how.more], place)
        text = done.stdout + done.stderr
        assert done.returncode == how.status, text
        assert "Traceback" not in text
        assert how.said in text


@pytest.mark.slow
def test_the_run_is_used_from_its_folder(trained):
    """What the README and the tools say of a run that is there, each in another process."""
    config, weights = "output/quickstart/config.yaml", "output/quickstart/model_final.safetensors"
    (program,) = [code for code in blocks("python") if "Predictor.from_config(" in code]
    done = run(["python", "-c", program], trained)
    assert done.returncode == 0, done.stderr
    for arguments in (
        ["python", "tools/train_net.py", "--config-file", config, "--resume", "train.max_iter=3"],
        [
            "python",
            "tools/train_net.py",
            "--config-file",
            config,
            "--eval-only",
            f"train.init_checkpoint={weights}",
        ],
        ["lazycfg", "drift", config],
        ["lazycfg", "check", config],
        ["lazycfg", "diff", config, "model_zoo/quickstart/mask_rcnn_shapes.py"],
        ["python", "tools/visualize_data.py", "--config-file", config, "--number", "1"],
    ):
        done = run(arguments, trained)
        text = done.stdout + done.stderr
        assert done.returncode == (1 if "diff" in arguments else 0), text
        assert "Traceback" not in text


@pytest.mark.slow
def test_the_page_about_run_folders(trained):
    page = (ROOT / "docs" / "run-folder.md").read_text()
    done = run(["python", "-W", "error", "-c", "\n".join(blocks("python", page))], trained)
    assert done.returncode == 0, done.stderr
    assert "('circle', 'triangle', 'square', 'star')" in done.stdout
    assert "missing.jpg no image file 'missing.jpg'" in done.stdout
    (command,) = blocks("bash", page)
    done = run(shlex.split(command.replace("\\\n", " ")), trained)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_notebook_and_the_config_file(checkout):
    (config,) = [code for code in blocks("python") if code.startswith("# my_config.py")]
    (checkout / "my_config.py").write_text(config)
    done = run(["lazycfg", "check", "my_config.py"], checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    (program,) = [code for code in blocks("python") if "results = train(cfg)" in code]
    assert "cfg.train.max_iter = 100\n" in program
    short = (
        "cfg.train.max_iter = 2\n"
        "cfg.dataloader.test.dataset.num_images = 2\n"
        "cfg.train.output_dir = 'notebook'\n"
    )
    done = run(["python", "-c", program.replace("cfg.train.max_iter = 100\n", short)], checkout)
    assert done.returncode == 0, done.stderr
    assert (checkout / "mine.yaml").is_file()
