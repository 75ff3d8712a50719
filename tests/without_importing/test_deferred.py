"""Deferred imports: reading a config imports nothing heavy, and wrong names fail as they would anyway."""

import subprocess
import sys

import pytest

from lazycfg.config.editing.overrides import apply_overrides
from lazycfg.config.errors import PathError
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.python_io import to_py
from lazycfg.config.loading.load import load
from lazycfg.config.tree.access import get_path
from lazycfg.without_importing.files import deferred_import
from lazycfg.without_importing.stand_ins import StandIn, resolve_stand_in


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported; importing it leaves a trace."""
    folder = tmp_path / "heavy_pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .parts import Part, Spec, LIMIT\nfrom . import parts\n")
    (folder / "parts.py").write_text(
        "class Part:\n    def __init__(self, **k): self.k = k\n    @classmethod\n"
        "    def make(cls): return cls()\n"
        "class Spec:\n    def __init__(self, n): self.n = n\n    def __eq__(self, o): return o.n == self.n\n"
        "LIMIT = 5\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "heavy_pkg"
    for name in [name for name in sys.modules if name.startswith("heavy_pkg")]:
        del sys.modules[name]


def read(tmp_path, text):
    (tmp_path / "cfg.py").write_text("from lazycfg import LazyCall as L\n" + text)
    return load(tmp_path / "cfg.py", import_absolute=deferred_import)


def test_nothing_is_imported_for_reading(package, tmp_path):
    cfg = read(
        tmp_path,
        "from heavy_pkg import Part, Spec\nimport heavy_pkg.parts\nimport heavy_pkg as h\n"
        "model = L(Part)(spec=Spec(n=3), other=L(h.parts.Part.make)(), third=heavy_pkg.parts.Part)\n",
    )
    assert "heavy_pkg" not in sys.modules
    assert type(cfg.model["_target_"]) is StandIn
    assert type(cfg.model.spec) is StandIn
    assert cfg.model.spec.__lazycfg_call__() is not None
    apply_overrides(cfg, ["model.other=1"])
    text = to_py(cfg)
    assert "heavy_pkg" not in sys.modules
    assert "spec=Spec(n=3)" in text
    assert "other=1" in text
    encode(cfg)
    assert repr(cfg.model.spec) == "Spec(n=3)"
    assert "heavy_pkg" not in sys.modules
    assert resolve_stand_in(cfg.model["_target_"]) is sys.modules["heavy_pkg"].Part
    assert resolve_stand_in(cfg.model.spec).n == 3


@pytest.mark.parametrize(
    "use",
    [
        "class Mine(Part):\n    pass\nx = Mine().k\n",
        "x = LIMIT + 1\n",
        "x = 1 + LIMIT\n",
        "x = [LIMIT > 3]\n",
        "x = list(range(LIMIT))\n",
        "x = float(LIMIT)\n",
        "x = Spec(3).n\n",
        "x = isinstance(Spec(3), Spec)\n",
        "x = 1 if LIMIT else 2\n",
        "x = -LIMIT\n",
        "x = {LIMIT == 5}\n",
        "x = f'{LIMIT:03d}'\n",
    ],
)
def test_a_real_use_imports(use, package, tmp_path):
    text = "from heavy_pkg import Part, Spec, LIMIT\n" + use
    value = read(tmp_path, text).x
    assert "heavy_pkg" in sys.modules
    assert value == load(tmp_path / "cfg.py").x


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("from heavy_pkg import Prat\n", ImportError, "Prat"),
        ("from heavy_pkg.prats import Part\n", ModuleNotFoundError, "prats"),
        ("import heavy_pgk\n", ModuleNotFoundError, "heavy_pgk"),
        ("import heavy_pkg\nx = heavy_pkg.Prat\n", AttributeError, "Prat"),
    ],
)
def test_a_name_that_cannot_exist_is_an_error_at_once(text, error, message, package, tmp_path):
    with pytest.raises(error, match=message):
        read(tmp_path, text)


def test_top_level_names_are_those_of_a_real_load(package, tmp_path):
    """Objects and constants of a library are data or not by what they are, not by their stand-ins."""
    (tmp_path / "heavy_pkg" / "parts.py").write_text(
        "import dataclasses, enum\n@dataclasses.dataclass\nclass Spec:\n    n: int\nclass Part:\n"
        "    def __eq__(self, other): return type(other).__name__ == 'Part'\n"
        "class Kind(enum.Enum):\n    A = 1\nLIMIT = 5\ndef settings(): return {'lr': 0.1}\n"
    )
    (tmp_path / "heavy_pkg" / "__init__.py").write_text("from . import parts\n")
    lines = (
        "import heavy_pkg\nfrom heavy_pkg import parts\n"
        "spec = parts.Spec(3)\nlimit = parts.LIMIT\nkind = parts.Kind.A\nlr = parts.settings()\n"
        "most = max(parts.LIMIT, 2)\nalias = parts.Part\nmodule = heavy_pkg.parts\nmade = parts.Part()\n"
        "text = str(parts.Spec(4))\n"
    )
    cfg = read(tmp_path, lines)
    expected = load(tmp_path / "cfg.py")
    assert list(cfg) == list(expected) == ["spec", "limit", "kind", "lr", "most", "made", "text"]
    assert cfg == expected
    assert type(cfg.lr) is type(expected.lr)


def test_an_alias_of_a_class_imports_nothing(package, tmp_path):
    assert list(read(tmp_path, "from heavy_pkg import parts\nalias = parts.Part\nlr = 1\n")) == ["lr"]
    assert "heavy_pkg" not in sys.modules


def test_the_zoo_is_read_without_torch():
    code = (
        "import sys\nfrom lazycfg.cli import main\n"
        "config = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py'\n"
        "main(['show', config, 'model.roi_heads.num_classes=7'])\n"
        "print('torch' in sys.modules, 'omegaconf' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "num_classes: 7" in result.stdout
    assert result.stdout.splitlines()[-1] == "False False"


def test_a_positional_argument_is_found_by_name_all_the_same(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ratios_of_this_test.py").write_text("def ratio(numerator, denominator): ...\n")
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\n"
        "model = L('ratios_of_this_test.ratio')(1, 2)\nother = L('no.such.thing')(1)\n"
    )
    cfg = load(str(tmp_path / "c.py"))
    assert get_path(cfg, "model._args_") == (1, 2)
    assert get_path(cfg, "model.denominator") == 2
    assert get_path(cfg, "model._args_") == (1, 2), "looking changes nothing"
    apply_overrides(cfg, ["model.denominator=3"])
    assert cfg.model.args() == {"numerator": 1, "denominator": 3}
    del sys.modules["ratios_of_this_test"]
    with pytest.raises(PathError, match="no 'denominator'"):
        get_path(cfg, "other.denominator")
