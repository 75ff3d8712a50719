"""Build the wheel; check that it is pure Python and holds every package and config file of the checkout."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# folder of the checkout -> folder inside the wheel
INSTALLED = {"lazycfg": "lazycfg", "model_zoo": "lazycfg/model_zoo", "projects": "lazycfg/projects"}


def expected_files() -> set[str]:
    """Wheel paths of all tracked Python files that users import or load."""
    patterns = [f"{folder}/**.py" for folder in INSTALLED]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return {path.replace(top, INSTALLED[top], 1) for path in listed for top in [path.split("/")[0]]}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(ROOT)], check=True
        )
        (wheel,) = Path(folder).glob("*.whl")
        names = set(zipfile.ZipFile(wheel).namelist())
    if not wheel.name.endswith("-py3-none-any.whl"):
        print(f"{wheel.name} is not a pure Python wheel")
        return 1
    if missing := sorted(expected_files() - names):
        print(f"{wheel.name} lacks files; see packages and package_data in setup.cfg:", *missing, sep="\n  ")
        return 1
    print(f"{wheel.name}: {len(names)} files, complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
