"""The tests of projects share tools with those of models and of parity."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / name) for name in ("parity", "modeling", "zoo", "projects/point_rend")]
