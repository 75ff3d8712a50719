"""What is generated of the zoo is current: the page, and a digest of each config."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("zoo_table", ROOT / "tools" / "zoo_table.py")
zoo_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zoo_table)

CONFIGS = zoo_table.configs()
DIGESTS = json.loads(zoo_table.DIGESTS.read_text())
REMEDY = "see what changed (lazycfg diff), then: python tools/zoo_table.py"


def test_the_page_is_current():
    assert zoo_table.PAGE.read_text(encoding="utf-8") == zoo_table.page(), REMEDY


def test_every_compared_config_is_there():
    assert zoo_table.compared() <= set(CONFIGS)


def test_every_config_has_a_digest():
    assert set(DIGESTS) == set(CONFIGS), REMEDY


@pytest.mark.parametrize("name", CONFIGS)
def test_config_means_what_it_meant(name):
    assert zoo_table.digest(CONFIGS[name]) == DIGESTS.get(name), f"{name}: {REMEDY}"


def test_a_digest_counts_defaults_of_this_library_and_of_no_other(tmp_path, monkeypatch):

    file = tmp_path / "config.py"
    file.write_text(
        "import torch\nfrom lazycfg import LazyCall as L\nfrom lazycfg.layers import ShapeSpec\n"
        "a = L(ShapeSpec)(channels=3)\nb = L(torch.nn.Linear)(2, 3)\n"
    )
    before = zoo_table.digest(file)
    file.write_text(file.read_text().replace("channels=3", "channels=3, height=None"))
    assert zoo_table.digest(file) == before
    file.write_text(file.read_text().replace("height=None", "height=7"))
    assert zoo_table.digest(file) != before
    file.write_text(file.read_text().replace("height=7", "height=None").replace("2, 3)", "2, 3, bias=True)"))
    assert zoo_table.digest(file) != before
