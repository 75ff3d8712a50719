"""Workers that are started anew get classes and functions of config files by value."""

import subprocess
import sys

import pytest

CONFIG = """
from lazycfg import LazyCall as L
class Squares:
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, index): return {"value": index ** 2, "width": 4, "height": 3}
class Sample:
    def __init__(self, value): self.value = value
def helper(value): return value + 1
def mapper(record): return Sample(helper(record["value"]))
dataset = L(Squares)(n=4)
to_sample = mapper
together = lambda batch: [sample.value for sample in batch]
"""
SCRIPT = """
import sys, torch, io, cloudpickle
from lazycfg import LazyConfig, instantiate
from lazycfg.data import build_detection_test_loader, build_detection_train_loader
if __name__ == "__main__":
    torch.multiprocessing.set_start_method(sys.argv[2])
    cfg = LazyConfig.load(sys.argv[1])
    parts = dict(dataset=instantiate(cfg.dataset), mapper=cfg.to_sample, collate_fn=cfg.together)
    parts.update(num_workers=1, check=False)
    test = build_detection_test_loader(**parts, batch_size=2)
    print([batch for batch in test], len(test.dataset))
    train = build_detection_train_loader(**parts, total_batch_size=2, aspect_ratio_grouping=False)
    print(len(next(iter(train))))
    stream = io.BytesIO()  # the line of docs/config-files.md
    torch.save(instantiate(cfg.dataset), stream, pickle_module=cloudpickle)
    stream.seek(0)
    print(torch.load(stream, weights_only=False).n)
"""


@pytest.mark.slow
def test_spawned_workers_have_what_a_config_file_defines(tmp_path):
    (tmp_path / "c.py").write_text(CONFIG)
    (tmp_path / "run.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "c.py"), "spawn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[[1, 2], [5, 10]] 4", "2", "4"]
