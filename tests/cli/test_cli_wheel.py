"""The commands from an installed wheel, in an environment and a folder with nothing of the checkout."""

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lazycfg import LazyConfig, instantiate
from lazycfg.utils.video import VideoReader, VideoWriter

ROOT = Path(__file__).parents[2]
CONFIG = "quickstart/mask_rcnn_shapes"
FEW = ("train.max_iter=100", "dataloader.test.dataset.num_images=12", "dataloader.train.total_batch_size=4")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with the wheel; torch and the others are seen in the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    # The build's own setuptools is fetched where there is none that is new enough
    old = int(version("setuptools").partition(".")[0]) < 77
    build = ["wheel", "-q", "--no-deps", *([] if old else ["--no-build-isolation"]), "-w", folder, ROOT]
    subprocess.run([sys.executable, "-m", "pip", *map(str, build)], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = ["--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    (packages,) = (folder / "env" / "lib").glob("python3*/site-packages")
    (packages / "others.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    work = folder / "work"
    work.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PATH": f"{python.parent}:{environment['PATH']}", "COLUMNS": "80"}

    def run(*words, status=0):
        done = subprocess.run(
            [python.parent / "lazycfg", *map(str, words)], cwd=work, env=environment,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    run.work, run.python, run.environment = work, python, environment
    return run


@pytest.fixture(scope="module")
def trained(installed):
    installed("train", CONFIG, "train.output_dir=run", "dataloader.train.num_workers=0", *FEW)
    return installed


@pytest.mark.slow
def test_the_package_is_that_of_the_wheel(installed):
    code = "import lazycfg; print(lazycfg.__file__)"
    where = {"cwd": installed.work, "env": installed.environment}
    done = subprocess.run([installed.python, "-c", code], capture_output=True, text=True, **where)
    assert done.stdout.startswith(str(installed.python.parents[1]))


@pytest.mark.slow
def test_commands_that_only_read(installed):
    assert installed("--version").startswith("lazycfg ")
    assert f"{CONFIG}.py" in installed("ls", "quickstart")
    assert "roi_heads" in installed("show", CONFIG, "model")
    assert installed("get", CONFIG, "train.max_iter") == "900\n"
    assert "Optimizer steps to train." in installed("doc", "train.max_iter")
    assert "common/train.py" in installed("explain", CONFIG, "train.max_iter")
    assert "max_iter" in installed("diff", CONFIG, "train.max_iter=3", status=1)
    assert "lazycfg train" in installed("sweep", CONFIG, "train.max_iter=1,2").replace(
        "-m lazycfg", "lazycfg"
    )
    assert "complete" in installed("completion", "bash")
    installed("copy", f"{CONFIG}.py", "mine.py")
    installed("graph", "mine.py", "-o", "mine.svg")
    installed("save", "mine.py", "mine.yaml")
    installed("drift", "mine.yaml")


@pytest.mark.slow
def test_commands_that_build(installed):
    assert "no problems found" in installed("check", CONFIG)
    assert "M activ." in installed("analyze", CONFIG)
    assert "PyTorch" in installed("env")
    words = ("--iterations", "2", "--warmup", "0", "--task", "data", "--task", "eval")
    assert "images/s" in installed("benchmark", CONFIG, "dataloader.train.num_workers=0", *FEW, *words)
    installed("visualize", CONFIG, "--number", "2", "dataloader.train.num_workers=0", "-o", "seen")
    assert len(list((installed.work / "seen").iterdir())) == 2


@pytest.mark.slow
def test_train_eval_predict_and_the_same_score(trained):
    """What `predict` writes of the test images has the score that `eval` finds on them."""
    work = trained.work
    trained("eval", "run")
    found = json.loads((work / "run/evaluation/model_final/results.json").read_text())
    cfg = LazyConfig.load(work / "run/config.yaml")
    dataset = instantiate(cfg.dataloader.test.dataset)
    json_file, images = dataset.export_coco(work / "test")
    words = ("predict", "run", "--threshold", "0", "--annotations", json_file, "--no-images", "-o", "all")
    trained(*words, images)
    script = [str(trained.python), str(ROOT / "tools" / "evaluate_json.py"), str(json_file)]
    for task in ("bbox", "segm"):
        done = subprocess.run(
            [*script, str(work / "all/predictions.json"), "--task", task],
            cwd=work, env=trained.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        names, values = done.stdout.splitlines()[:2]
        scores = dict(zip(names.split(), map(float, values.split()), strict=True))
        assert found[task]["AP"] > 0.5  # of 100: it has learned something
        assert scores["AP"] == pytest.approx(found[task]["AP"], abs=0.02)
    (entry, *_) = json.loads((work / "all/predictions.json").read_text())
    assert set(entry) == {"image_id", "category_id", "bbox", "score", "segmentation"}


@pytest.mark.slow
def test_a_run_is_compared_and_exported(trained):
    assert "100" in trained("runs", "run")
    words = ("export", "run", "--size", "128x160", "-o", "model.pt2")
    told = trained(*words, "model.roi_heads.box_predictor.test_score_thresh=0")
    assert "compared: " in told
    assert (trained.work / "model.pt2").stat().st_size > 1e6


@pytest.mark.slow
def test_predict_on_a_folder_with_a_broken_image_and_on_a_video(trained):
    work = trained.work
    pictures = work / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(np.full((90, 130, 3), 60 + 100 * number, np.uint8)).save(pictures / f"{number}.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8no")
    with VideoWriter(work / "clip.mp4", rate=5) as writer:
        for number in range(4):
            writer.write(np.full((64, 96, 3), 40 * number, np.uint8), number / 5)
    out = trained("predict", "run", "pictures", "--video", "clip.mp4", "-o", "seen_here", status=1)
    assert "clip.mp4: 4 frames" in out
    assert len(list((work / "seen_here/images").iterdir())) == 2
    assert len(list(VideoReader(work / "seen_here/clip.mp4"))) == 4
