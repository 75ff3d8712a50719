"""What is saved of a zoo entry can be loaded by another process, under the default policy and a few names."""

import subprocess
import sys

import pytest

from lazycfg import LazyConfig, model_zoo

# What the default policy does not allow: networks and a loader of the classification project.
ALLOWED = (
    "lazycfg.modeling.TorchvisionBackbone",
    "lazycfg.projects.classification.build_classification_train_loader",
    "torchvision.models.resnet50",
)

READ = """
import sys
from lazycfg import LazyConfig, model_zoo
from lazycfg.config import DEFAULT_ALLOW
from lazycfg.inspection.equality import equal_configs

allow = (*DEFAULT_ALLOW, *sys.argv[3:])
bad = []
for name in model_zoo.list_configs():
    file = sys.argv[1] + "/" + name.replace("/", "__") + "." + sys.argv[2]
    try:
        cfg = LazyConfig.load(file, allow=allow)
    except Exception as error:
        bad.append(f"{name}: {error}")
        continue
    if not equal_configs(cfg, model_zoo.get_config(name)):
        bad.append(f"{name}: another config")
print("\\n".join(bad) or "none")
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["yaml", "json", "py"])
def test_every_zoo_entry_loads_in_another_process(tmp_path, suffix):
    for name in model_zoo.list_configs():
        LazyConfig.save(model_zoo.get_config(name), tmp_path / f"{name.replace('/', '__')}.{suffix}")
    command = [sys.executable, "-c", READ, str(tmp_path), suffix, *ALLOWED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "none\n"


@pytest.mark.parametrize("name", [n for n in model_zoo.list_configs() if "quickstart/" in n])
def test_a_saved_quickstart_loads_under_the_default_policy(tmp_path, name):
    LazyConfig.save(model_zoo.get_config(name), tmp_path / "config.yaml")
    assert LazyConfig.load(tmp_path / "config.yaml") == model_zoo.get_config(name)
