"""README.md runs as it stands there, shortened where it trains."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
sys.path.append(str(ROOT / "tests" / "docs"))
# What .ci/run does, and what keeps the training of the program short
SHORTER = {
    'pip install -e ".[eval]" && ': "",
    "<!-- ci: test -->": "<!-- test: skip this is it -->",
    "cfg.train.max_iter = 100\n": (
        "cfg.train.update(max_iter=2, pictures=1, output_dir='notebook')\n"
        "cfg.dataloader.train.total_batch_size = 2\n"
        "cfg.dataloader.test.dataset.num_images = 2\n"
    ),
}


@pytest.mark.slow
def test_the_readme_runs(tmp_path, monkeypatch):
    from doc_pages import run_page

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg", "photos/c.jpg"):
        Image.fromarray(np.full((90, 120, 3), 128, np.uint8)).save(tmp_path / name)
    text = README
    for here, there in SHORTER.items():
        assert here in text
        text = text.replace(here, there)
    run_page(text, "README.md", tmp_path)
    assert (tmp_path / "predictions").is_dir()
    # the config of the run, in other processes
    for status, command in (
        (0, ["drift", "output/quickstart/config.yaml"]),
        (0, ["check", "output/quickstart"]),
        (1, ["diff", "output/quickstart/config.yaml", "quickstart/mask_rcnn_shapes"]),
        (0, ["train", "output/quickstart", "--resume", "train.max_iter=3"]),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lazycfg", *command], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_the_results_are_those_of_the_zoo():
    rows = re.findall(r"^\| `([\w/-]+)` \| ([\d.]+) \| ([\d.]*) ?\|$", README, re.MULTILINE)
    assert len(rows) > 4
    zoo = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    for name, box, mask in rows:
        folder, _, file = name.rpartition("/")
        section = zoo.partition(f"## `model_zoo/{folder}`\n")[2].partition("\n## ")[0]
        published = f"box AP {box}" + (f", mask AP {mask}" if mask else "")
        assert re.search(rf"^\| `{file}.py` \| .*\| {published} \|", section, re.MULTILINE), name
