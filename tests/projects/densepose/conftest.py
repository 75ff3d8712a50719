"""The tests of DensePose share tools with those of models, of parity and of the zoo, and generated data."""

import sys
from pathlib import Path

import pytest

from lazycfg.projects.densepose.make_figures import make_figures

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / name) for name in ("parity", "modeling", "zoo")]


@pytest.fixture(scope="session")
def datasets_root(tmp_path_factory):
    """A folder as $DETECTRON2_DATASETS, with figures of 96 pixels and the files of their surface."""
    root = tmp_path_factory.mktemp("datasets")
    make_figures(root / "figures", train=8, test=6, side=96, points=60)
    return root


@pytest.fixture(scope="session")
def figures(datasets_root):
    """The folder of the figures."""
    return datasets_root / "figures"
