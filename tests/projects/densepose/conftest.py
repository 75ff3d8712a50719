"""The tests of DensePose share tools with those of models, of parity and of the zoo."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / name) for name in ("parity", "modeling", "zoo")]
