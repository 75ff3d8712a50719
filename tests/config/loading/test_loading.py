"""Config files: imports between them, isolation, fresh objects, errors that name the chain of files."""

import builtins
import dataclasses
import os
import re
import sys
import threading
import traceback
from pathlib import Path

import pytest

from lazycfg.config.building.build import instantiate
from lazycfg.config.building.check import check
from lazycfg.config.errors import ConfigError, ConfigKeyError, FormatError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.position import position_of

HEAD = "from lazycfg import LazyCall as L, REQUIRED\nfrom fractions import Fraction\n"


@pytest.fixture
def files(tmp_path):
    """Write files given as {relative path: text}; returns the folder."""

    def write(**texts):
        for name, text in texts.items():
            file = (
                tmp_path
                / f"{'/'.join('__init__' if part == 'INIT' else part for part in name.split('__'))}.py"
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def global_state_is_left_alone():
    before = builtins.__import__, set(vars(builtins)), os.getcwd(), list(sys.path), list(sys.meta_path)
    modules = set(sys.modules)
    yield
    assert before == (
        builtins.__import__,
        set(vars(builtins)),
        os.getcwd(),
        list(sys.path),
        list(sys.meta_path),
    )
    added = set(sys.modules) - modules
    assert not {name for name in added if "lazycfg_configs" in name or "model" in name.split(".")[:1]}


def test_config_data_of_a_file(files):
    folder = files(
        a=HEAD
        + "import math, enum, pathlib\nfrom math import pi\nfrom dataclasses import dataclass\n"
        + "@dataclass\nclass Spec:\n    x: int = 1\n"
        + "class Color(enum.Enum):\n    RED = 1\n"
        + "def helper(): return 1\n"
        + "model = L(Fraction)(numerator=1)\ntrain = dict(a=1, sub={'b': [{'c': 2}]})\n"
        + "lr = 0.1\nname = 'x'\nnothing = None\nsteps = [1, 2]\nsizes = (1, 2)\nspec = Spec()\n"
        + "color = Color.RED\npath = pathlib.Path('a')\nwanted = REQUIRED\n_hidden = 1\nobj = object()\n"
        + "fn = helper\n"
    )
    cfg = LazyConfig.load(folder / "a.py")
    assert type(cfg) is Node
    assert list(cfg) == [
        *("model", "train", "lr", "name", "nothing", "steps", "sizes", "spec", "color", "path", "wanted"),
        *("obj", "fn"),
    ]
    assert type(cfg.train) is type(cfg.train.sub) is type(cfg.train.sub.b[0]) is Node
    assert type(cfg.steps) is list
    assert cfg.sizes == (1, 2)


def test_keys(files):
    folder = files(a=HEAD + "model = dict(x=1)\ntrain = dict(m=model)\ndef f(): return 3\n")
    assert LazyConfig.load(folder / "a.py", "model") == {"x": 1}
    train, model = LazyConfig.load(folder / "a.py", ("train", "model"))
    assert train.m is model
    assert LazyConfig.load(folder / "a.py", "f")() == 3
    with pytest.raises(ConfigKeyError, match="did you mean 'model'"):
        LazyConfig.load(folder / "a.py", "modle")


def test_relative_imports_without_packages(files):
    folder = files(
        common__model=HEAD + "from .consts import K\nmodel = L(Fraction)(numerator=K)\nclass A: pass\n"
        "def f(x): return x + K\n",
        common__consts="K = 3\n",
        sub__deep__a="from ...common.model import model, A, f\nfrom ... import top\nfrom ..x import y\n"
        "from . import sibling\nz = top.t + y + f(1) + sibling.s\n",
        top="t = 10\n",
        sub__x="y = 100\n",
        sub__deep__sibling="s = 1000\n",
    )
    cfg = LazyConfig.load(folder / "sub" / "deep" / "a.py")
    assert cfg.z == 1114
    assert cfg.model.numerator == 3
    assert set(cfg) == {"model", "y", "z"}


def test_packages(files):
    folder = files(
        pkg__INIT="from .inner import value\nfrom . import other\nown = {'a': value}\n",
        pkg__inner="from . import late\nvalue = late.v\n",
        pkg__late="v = 7\n",
        pkg__other="w = 8\n",
        a="from .pkg import own, other, late\nfrom .pkg.late import v\nx = (own, other.w, late.v, v)\n",
        pkg__user="from . import own, other\ny = (own, other.w)\n",
    )
    assert LazyConfig.load(folder / "a.py").x == ({"a": 7}, 8, 7, 7)
    assert LazyConfig.load(folder / "pkg" / "user.py").y == ({"a": 7}, 8)


def test_import_star_and_reimport(files):
    folder = files(
        base="__all__ = ['a']\na = {'x': 1}\nb = {'y': 1}\n",
        c="from .base import *\na['x'] = 2\n",
    )
    assert LazyConfig.load(folder / "c.py") == {"a": {"x": 2}}
    assert LazyConfig.load(folder / "base.py").a == {"x": 1}


def test_a_diamond_runs_once_per_load(files, tmp_path):
    log = tmp_path / "log"
    folder = files(
        base=f"with open({str(log)!r}, 'a') as f: f.write('x')\nshared = {{'n': 1}}\n",
        left="from .base import shared\nleft = {'s': shared}\n",
        right="from .base import shared\nright = {'s': shared}\n",
        top="from .left import left\nfrom .right import right\n",
    )
    cfg = LazyConfig.load(folder / "top.py")
    assert log.read_text() == "x"
    assert cfg.left.s is cfg.right.s
    LazyConfig.load(folder / "top.py")
    assert log.read_text() == "xx"


def test_fresh_objects_at_every_load(files):
    folder = files(
        a=HEAD + "from .b import inner\nmodel = L(Fraction)(numerator=inner, x=[1, {'y': 2}])\n",
        b="inner = {'z': 1}\n",
    )
    first = LazyConfig.load(folder / "a.py")
    first.model.x.append(3)
    first.inner.z = 5
    first.model.x[1].y = 9
    second = LazyConfig.load(folder / "a.py")
    assert second.model.x == [1, {"y": 2}]
    assert second.inner == {"z": 1}


def test_nodes_of_ordinary_modules_are_copied(files, tmp_path, monkeypatch):
    files(helper_module_xyz=HEAD + "node = L(Fraction)(numerator=1, parts=[1])\nalso = dict(n=node)\n")
    folder = files(
        a="from helper_module_xyz import node, node as again\nnode.numerator += 1\nmodel = node\n"
        "same = again is node\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        for _ in range(2):
            cfg = LazyConfig.load(folder / "a.py")
            assert cfg.model.numerator == 2
            assert cfg.same
            cfg.model.parts.append(2)
        assert sys.modules["helper_module_xyz"].node.parts == [1]
    finally:
        sys.modules.pop("helper_module_xyz", None)


def test_packages_of_configs_are_run_by_the_loader(files, tmp_path, monkeypatch):
    files(
        zoo_xyz__INIT="__lazycfg_configs__ = True\ndef get(): return 5\n",
        zoo_xyz__models__rcnn=HEAD + "from ..base import depth\nmodel = L(Fraction)(numerator=depth)\n",
        zoo_xyz__base="depth = 50\n",
    )
    folder = files(
        a="from zoo_xyz.models.rcnn import model\nfrom zoo_xyz import get, base\n"
        "import zoo_xyz.models.rcnn as r\n"
        "import zoo_xyz.models.rcnn\nassert r.model is model is zoo_xyz.models.rcnn.model\n"
        "n = get()\nd = base.depth\nmodel.numerator += 1\n",
        missing="from zoo_xyz.models.rcnnn import model\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        for _ in range(2):
            cfg = LazyConfig.load(folder / "a.py")
            assert (cfg.model.numerator, cfg.n, cfg.d) == (51, 5, 50)
        assert "zoo_xyz.models.rcnn" not in sys.modules
        import zoo_xyz.models.rcnn as real  # in ordinary code it is an ordinary import

        assert real.model.numerator == 50
        assert LazyConfig.load(folder / "a.py").model.numerator == 51
        with pytest.raises(ModuleNotFoundError, match="did you mean 'rcnn'"):
            LazyConfig.load(folder / "missing.py")
    finally:
        for name in [name for name in sys.modules if name.startswith("zoo_xyz")]:
            del sys.modules[name]


def test_plain_dicts_become_nodes_with_their_identity(files):
    folder = files(a="d = dict(x=1)\nl = [d, (d, {'k': d})]\n")
    cfg = LazyConfig.load(folder / "a.py")
    assert cfg.l[0] is cfg.d is cfg.l[1][0] is cfg.l[1][1].k


def test_dicts_of_an_imported_file_are_edited_by_attribute(files):
    folder = files(
        base="train = dict(iters=1, amp=dict(on=False))\nboth = [train]\n",
        a="from .base import train, both\ntrain.iters = 5\ntrain.amp.on = True\nassert both[0] is train\n",
    )
    assert LazyConfig.load(folder / "a.py").train == {"iters": 5, "amp": {"on": True}}


def test_omegaconf_objects_are_converted(files):
    pytest.importorskip("omegaconf")
    folder = files(
        a="from omegaconf import OmegaConf\nfrom lazycfg import LazyCall as L\n"
        "from fractions import Fraction\n"
        "train = OmegaConf.create({'a': [1, {'b': 2}], 'c': '${.a}'})\nmodel = L(Fraction)(numerator=train)\n"
        "lst = [train, (train,)]\n"
    )
    cfg = LazyConfig.load(folder / "a.py")
    assert type(cfg.train) is Node
    assert type(cfg.train.a) is list
    assert cfg.train.c == [1, {"b": 2}]
    assert cfg.model.numerator is cfg.train is cfg.lst[0] is cfg.lst[1][0]


def test_a_file_may_say_what_its_config_is(files):
    folder = files(a="x = 1\ny = {'z': 2}\n__config__ = {'a b': y, 'c': y}\n")
    cfg = LazyConfig.load(folder / "a.py")
    assert cfg == {"a b": {"z": 2}, "c": {"z": 2}}
    assert cfg["a b"] is cfg.c


def test_dataclasses_with_postponed_annotations(files):
    folder = files(
        a="from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass\nclass S:\n    x: int = 3\n    y: ClassVar[int] = 4\ns = S(x=5)\n"
    )
    assert LazyConfig.load(folder / "a.py").s.x == 5


def test_imports_inside_functions_work_after_loading(files):
    folder = files(
        a="def f():\n    from .b import x\n    import math\n    return x + math.floor(1.5)\n", b="x = 4\n"
    )
    assert LazyConfig.load(folder / "a.py", "f")() == 5


def test_load_rel(files):
    folder = files(
        a="from lazycfg import LazyConfig\nb = LazyConfig.load_rel('sub/b.py', 'x')\n",
        sub__b="x = {'y': 1}\n",
    )
    assert LazyConfig.load(folder / "a.py").b.y == 1
    here = Path(__file__)
    with pytest.raises(FileNotFoundError, match=re.escape(str(here.parent))):
        LazyConfig.load_rel("no_such_config.py")
    with pytest.raises(RuntimeError, match="load_rel"):
        eval("LazyConfig.load_rel('x.py')", {"LazyConfig": LazyConfig})


# ------------------------------------------------------------------------------- errors


def test_an_error_names_the_chain_of_files(files):
    folder = files(a="\nfrom .b import x\n", b="from .sub import c\n", sub__c="y = 1\n\n1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        LazyConfig.load(folder / "a.py")
    (note,) = caught.value.__notes__
    assert note.splitlines() == [
        f"while loading config file {folder / 'sub' / 'c.py'}",
        f"  imported from {folder / 'b.py'}, line 1",
        f"  imported from {folder / 'a.py'}, line 2",
    ]
    shown = "".join(traceback.format_exception(caught.value))
    assert f'{folder / "sub" / "c.py"}", line 3' in shown
    assert "1 / 0" in shown


def test_a_field_of_a_frozen_value_is_not_assigned(files):
    folder = files(a="from lazycfg.layers import ShapeSpec\nspec = ShapeSpec(3)\nspec.channels = 2\n")
    with pytest.raises(dataclasses.FrozenInstanceError) as caught:
        LazyConfig.load(folder / "a.py")
    assert "x = dataclasses.replace(x, channels=...)" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("from .comon.model import m", ModuleNotFoundError, "did you mean 'common'"),
        ("from .common.modle import m", ModuleNotFoundError, "did you mean 'model'"),
        ("from .common.model import modell", ImportError, "did you mean 'model'"),
        ("from . import comon", ImportError, "did you mean 'common'"),
        ("from ..............................x import y", ImportError, "leaves the file system"),
        ("import no_such_package_xyz", ModuleNotFoundError, "no_such_package_xyz"),
        ("x = (", SyntaxError, "never closed"),
        ("from .a import nothing", ImportError, "in a circle"),
    ],
)
def test_wrong_imports(files, statement, error, message):
    folder = files(a=statement + "\n", common__model="model = {}\n")
    with pytest.raises(error, match=message) as caught:
        LazyConfig.load(folder / "a.py")
    assert str(folder / "a.py") in caught.value.__notes__[0]
    if error is ModuleNotFoundError or error is ImportError:
        assert type(caught.value) is error


def test_missing_files(files):
    folder = files(mask_rcnn="x = 1\n")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'mask_rcnn\.py'"):
        LazyConfig.load(folder / "maskrcnn.py")
    with pytest.raises(FileNotFoundError, match="no folder"):
        LazyConfig.load(folder / "nowhere" / "x.py")
    with pytest.raises(IsADirectoryError, match=r"mask_rcnn\.py"):
        LazyConfig.load(folder)


def test_nothing_is_left_after_an_error(files):
    folder = files(
        a="from .b import x\nfrom .broken import y\n", b="x = {'n': 1}\n", broken="raise ValueError('no')\n"
    )
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            LazyConfig.load(folder / "a.py")
    (folder / "broken.py").write_text("y = 2\n")
    assert LazyConfig.load(folder / "a.py") == {"x": {"n": 1}, "y": 2}


def test_a_config_may_catch_a_failing_import(files):
    folder = files(a="try:\n    from .b import x\nexcept ImportError:\n    x = 'fallback'\n")
    assert LazyConfig.load(folder / "a.py").x == "fallback"


def test_an_edited_file_is_run_anew(files):
    folder = files(a="x = 1\n")
    assert LazyConfig.load(folder / "a.py").x == 1
    (folder / "a.py").write_text("x = 12345\n")
    assert LazyConfig.load(folder / "a.py").x == 12345


# ------------------------------------------------------------------------------- threads


def test_eight_threads_load_at_once(files):
    folder = files(
        base="from __future__ import annotations\nimport time\nfrom dataclasses import dataclass\n"
        "time.sleep(0.01)\n"
        "@dataclass\nclass S:\n    x: int = 1\nshared = {'s': S()}\n",
        left="from .base import shared\nleft = {'x': shared}\n",
        top="from .left import left\nfrom .base import shared\nfrom . import base\n",
    )
    results, errors = [], []

    def work():
        try:
            for _ in range(5):
                results.append(LazyConfig.load(folder / "top.py"))
        except BaseException as error:  # a thread's error would be lost
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 40
    assert all(cfg.left.x is cfg.shared for cfg in results)
    assert len({id(cfg.shared) for cfg in results}) == 40


# ------------------------------------------------------------------------------- positions


def test_nodes_know_their_file_and_line(files):
    folder = files(a=HEAD + "\nmodel = L(Fraction)(\n    numerator=L(Fraction)(numerator=1),\n)\n")
    cfg = LazyConfig.load(folder / "a.py")
    assert (position_of(cfg.model).file, position_of(cfg.model).line) == (str(folder / "a.py"), 4)
    assert position_of(cfg.model.numerator).line == 5


def test_large_files_are_loaded(files):
    folder = files(a=HEAD + "models = [\n" + "    L(Fraction)(numerator=dict(x=1)),\n" * 5000 + "]\n")
    assert len(LazyConfig.load(folder / "a.py").models) == 5000


def test_lazy_call_is_the_public_one():
    assert L(dict)(a=1)["_target_"] is dict


def test_only_python_files_are_run(tmp_path):
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w')\n"
    for name in ("x.YAML", "x.Json", "x.yml"):
        (tmp_path / name).write_text(code)
        with pytest.raises(ConfigError, match=name):
            LazyConfig.load(tmp_path / name)
    for name in ("x.txt", "x", "x.pyc", "x.toml", ".py"):
        (tmp_path / name).write_text(code)
        with pytest.raises(FormatError, match="unknown config format"):
            LazyConfig.load(tmp_path / name)
    assert not marker.exists()
    (tmp_path / "y.JSON").write_text('{"a": 1}')
    assert LazyConfig.load(tmp_path / "y.JSON") == {"a": 1}
    LazyConfig.save(Node(a=1), tmp_path / "z.YML")
    assert LazyConfig.load(tmp_path / "z.YML") == {"a": 1}


def test_a_file_that_was_rewritten_within_the_clock_tick_is_read_anew(files):
    folder = files(a="n = 1\n")
    assert LazyConfig.load(folder / "a.py").n == 1
    before = os.stat(folder / "a.py")
    (folder / "a.py").write_text("n = 2\n")
    os.utime(folder / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert LazyConfig.load(folder / "a.py").n == 2


def test_the_config_that_a_file_names_itself_is_the_root(files):
    folder = files(
        a="n = 3\nm = dict(x='${n}', y='${.x}')\n__config__ = {'n': n, 'm': m}\n",
        b="from .a import m as part\n__config__ = {'n': 4, 'inner': {'n': 5, 'part': part}}\n",
        c=HEAD + "n = 3\n__config__ = L(dict)(n=7, x='${n}')\n",
    )
    cfg = LazyConfig.load(folder / "a.py")
    assert (cfg.m.x, cfg.m.y) == (3, 3)
    assert instantiate(cfg)["m"] == {"x": 3, "y": 3}
    cfg.m.x = "${none}"
    with pytest.raises(ConfigError, match="none") as caught:
        assert cfg.m.x
    assert "available: ''" not in str(caught.value)
    assert LazyConfig.load(folder / "b.py").inner.part.x == 4
    assert LazyConfig.load(folder / "c.py").x == 7
    assert "``" not in str(check(LazyConfig.load(folder / "a.py")))


def test_a_file_beside_the_config_is_imported_with_a_dot(files):
    folder = files(
        a="from my_head import MyHead\n", my_head="class MyHead: pass\n", b="import nowhere_at_all\n"
    )
    with pytest.raises(ModuleNotFoundError) as caught:
        LazyConfig.load(folder / "a.py")
    assert any("write a dot before it, from .my_head import ..." in note for note in caught.value.__notes__)
    with pytest.raises(ModuleNotFoundError) as caught:
        LazyConfig.load(folder / "b.py")
    assert not any("dot" in note for note in caught.value.__notes__)


def test_a_package_in_the_current_folder_is_found_as_the_message_says(files, tmp_path, monkeypatch):
    folder = files(a="from my_package.heads import MyHead\n")
    (tmp_path / "project" / "my_package").mkdir(parents=True)
    (tmp_path / "project" / "my_package" / "heads.py").write_text("class MyHead: pass\n")
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(ModuleNotFoundError) as caught:
        LazyConfig.load(folder / "a.py")
    [hint] = [note for note in caught.value.__notes__ if "current folder" in note]
    assert hint == "'my_package' is in the current folder: start with python -m lazycfg, or set PYTHONPATH=."
    monkeypatch.syspath_prepend(".")
    LazyConfig.load(folder / "a.py")


def test_arguments_named_like_methods_of_dict_do_not_warn_at_load(files, recwarn):
    folder = files(
        a=HEAD + "def f(values, items=1): pass\ns = L(f)(values=[1], items=2)\ns['values'] = [2]\n"
    )
    cfg = LazyConfig.load(folder / "a.py")
    LazyConfig.save(cfg, folder / "b.py")
    LazyConfig.load(folder / "b.py")
    assert not recwarn.list
    with pytest.warns(UserWarning, match="named like a method"):
        L(dict)(values=1)


def test_a_linked_file_is_read_where_it_really_is(files, tmp_path):
    files(base="lr = 1\n", exp="from .base import lr\nx = dict(y=lr)\n")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "link.py").symlink_to(tmp_path / "exp.py")
    cfg = LazyConfig.load(folder / "link.py")
    assert cfg.lr == 1
    assert str(position_of(cfg).file) == str(tmp_path / "exp.py")
