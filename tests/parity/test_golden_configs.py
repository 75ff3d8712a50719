"""Each golden file has a zoo entry."""

from golden_configs import CONFIGS
from parity_check import GOLDEN


def test_every_golden_file_has_an_entry():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CONFIGS)
