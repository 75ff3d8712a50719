"""Write what is kept of the model zoo and of the projects' configs, after one of them has changed.

    python tools/zoo_table.py

The table of `docs/zoo.md` comes from the docstrings (what the reference published), from the values that the
tests compare, and from the names of published checkpoints. `tests/zoo/config_digests.json` has a digest of
each config with all defaults of this library's classes, so that a change of one of them shows as a diff.
"""

import ast
import json
import re
from pathlib import Path

from lazycfg import LazyConfig
from lazycfg.checkpoint import published_url
from lazycfg.config.signatures.binding import with_defaults
from lazycfg.config.tree.node import Node
from lazycfg.inspection.hashing import hash_of

ROOT = Path(__file__).resolve().parents[1]
ZOO, PROJECTS = ROOT / "lazycfg" / "model_zoo", ROOT / "lazycfg" / "projects"
PAGE = ROOT / "docs" / "zoo.md"
DIGESTS = ROOT / "tests" / "zoo" / "config_digests.json"
MARK = "<!-- python tools/zoo_table.py writes what follows -->\n"

# The folder that a project's checkpoints were published in
PUBLISHED_AS = {
    "deeplab": "DeepLab",
    "densepose": "DensePose",
    "panoptic_deeplab": "PanopticDeepLab",
    "point_rend": "PointRend",
}
RESULT = re.compile(r"((?:box |mask |keypoint |proposal )?(?:AP50|AP|AR|PQ|mIoU))(?: of)? (\d+\.\d)")


def configs() -> dict[str, Path]:
    """Return the files of all whole jobs, of the zoo and of the projects, by the names users give them."""
    found = {}
    for start, top in ((ZOO, "model_zoo"), (PROJECTS, "projects")):
        for path in sorted(start.rglob("*.py")):
            inner = path.relative_to(start).parts
            if len(inner) > 1 and "common" not in inner and (top == "model_zoo" or inner[1] == "configs"):
                found[f"{top}/{'/'.join(inner)}"] = path
    return {name: path for name, path in found.items() if path.name != "__init__.py"}


def compared() -> set[str]:
    """Return the names of the configs of which tests compare what they build with the reference."""
    names = set()
    for file in (ROOT / "tests" / "zoo").glob("reference_values*.json"):
        names |= {f"model_zoo/{name}" for name in json.loads(file.read_text())}
    for file in (ROOT / "tests" / "projects").glob("*/reference_values*.json"):
        for name in json.loads(file.read_text()):
            inner = name if "/configs/" in name else f"{file.parent.name}/configs/{name}"
            names.add(f"projects/{inner}")
    return names


def published_results(path: Path) -> str:
    """Return the results that a config's docstring gives: ``"box AP 38.6, mask AP 35.2"``."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return ", ".join(f"{metric} {value}" for metric, value in RESULT.findall(docstring.partition(";")[0]))


def checkpoint(name: str) -> str:
    """Return the file published for a config, or ``""``."""
    top, inner = name.split("/", 1)
    if top == "projects":
        project, _, config = inner.partition("/configs/")
        inner = f"{PUBLISHED_AS.get(project, project)}/{config}"
    return (published_url(inner) or "").rpartition("/")[2]


def table() -> str:
    """Return the generated part of the page."""
    equal, rows = compared(), configs()
    lines = [
        f"{len(rows)} configs; of {len(equal & set(rows))} what is built is compared with the reference."
    ]
    folder = None
    for name, path in rows.items():
        here, _, file = name.rpartition("/")
        if here != folder:
            folder = here
            lines += ["", f"## `{here}`", "", "| config | built | published | weights |", "|---|---|---|---|"]
        weights = checkpoint(name)
        cells = [
            f"`{file}`",
            "equal" if name in equal else "",
            published_results(path),
            f"`{weights}`" if weights else "",
        ]
        lines.append(f"| {' | '.join(cells)} |".replace("|  ", "| "))
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the text that the page should have."""
    written, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return written + mark + "\n" + table()


def digest(path: Path) -> str:
    """Return a short hash of a config and of all defaults of this library that it leaves as they are."""
    cfg = LazyConfig.load(path)
    full = with_defaults(cfg)
    _forget_foreign_defaults(full, cfg)
    return hash_of(full)[:16]


def _forget_foreign_defaults(full: object, given: object) -> None:
    """Take out what other libraries' signatures added: their releases differ."""
    if isinstance(given, Node) and isinstance(full, Node):
        target = dict.get(given, "_target_")
        name = target if isinstance(target, str) else getattr(target, "__module__", None) or ""
        if target is not None and not name.startswith("lazycfg."):
            for key in set(dict.keys(full)) - set(dict.keys(given)):
                del full[key]
        for key in dict.keys(given):
            _forget_foreign_defaults(dict.get(full, key), dict.get(given, key))
    elif isinstance(given, (list, tuple)) and isinstance(full, (list, tuple)):
        for one, other in zip(full, given, strict=True):
            _forget_foreign_defaults(one, other)


def main() -> None:
    """Write the page and the digests."""
    PAGE.write_text(page(), encoding="utf-8")
    digests = {name: digest(path) for name, path in configs().items()}
    DIGESTS.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
