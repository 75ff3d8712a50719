"""The tests of projects share tools with each other and with those of models and of the zoo."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("projects", "modeling", "zoo")]
