"""The generated solids, and a small Mesh R-CNN on them."""

import pytest

from lazycfg import LazyConfig
from lazycfg.projects import meshrcnn
from lazycfg.projects.meshrcnn.make_solids import make_solids

FOLDER = meshrcnn.__path__[0]


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """A folder as $DETECTRON2_DATASETS, with solids of 64 pixels."""
    root = tmp_path_factory.mktemp("datasets")
    make_solids(root / "solids", train=12, test=4, side=64, models=1)
    return root


@pytest.fixture
def cfg(data_root, monkeypatch):
    """The quickstart."""
    monkeypatch.setenv("DETECTRON2_DATASETS", str(data_root))
    return LazyConfig.load(f"{FOLDER}/configs/quickstart_meshrcnn_solids.py")
