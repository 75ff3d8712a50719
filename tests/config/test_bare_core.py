"""The core works where only the standard library is installed."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_bare_core.py"


def test_the_core_needs_nothing_but_the_standard_library():
    done = subprocess.run([sys.executable, str(TOOL), "--here"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the core works with nothing but the standard library\n"
