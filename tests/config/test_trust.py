# ruff: noqa: E501
"""Malicious data files and command lines: each would create a marker file; none does, each is refused.

Every input is loaded under the default policy and under a generous one, and what loads is checked and built.
"""

import functools
import importlib
import json
import operator
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path

import pytest

from lazycfg.cli.main import main
from lazycfg.config.building.build import instantiate
from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.document import DataFileError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.trust import TRUST_ALL, Policy, UntrustedError

WORK = types.ModuleType("trusted_work")
exec(
    """
import os, subprocess, functools, operator, builtins, importlib, sys, pickle
from os import system
from subprocess import Popen as Process
from operator import methodcaller, attrgetter
from functools import partial
import os as deep
run = os.system
ready = functools.partial(os.system)
caller = operator.methodcaller("system", "true")
instance_of_os = os
_private = lambda x: x
class Layer:
    def __init__(self, **kwargs): self.kwargs = kwargs
    system = staticmethod(os.system)
    os = os
    def method(self): return 1
    class Inner: pass
class Meta(type): pass
def build(x=None): return Layer(x=x)
alias = build
def maker(): return lambda command: os.system(command)
made = maker()
""",
    WORK.__dict__,
)
GENEROUS = (
    "trusted_work",
    "torch.nn",
    "collections",
    "functools",
    "operator",
    "builtins",
    "os",
    "subprocess",
)


@pytest.fixture(autouse=True)
def work_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "trusted_work", WORK)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


def call(target, *args, **kwargs):
    """YAML of a call; {M} stands for the marker's path."""
    items = [f"_target_: {target}"]
    if args:
        items.append(f"_args_: [{', '.join(args)}]")
    items += [f"{key}: {value}" for key, value in kwargs.items()]
    return "x: {" + ", ".join(items) + "}"


TOUCH = '"touch {M}"'
ARGV = '[touch, "{M}"]'
PYTHON = "\"open('{M}', 'w')\""
NAMES = [
    *("os.system", "posix.system", "subprocess.os.system", "shutil.os.system", "os.sys.modules.os.system"),
    *("trusted_work.system", "trusted_work.os.system", "trusted_work.deep.system", "trusted_work.run"),
    *("trusted_work.Layer.system", "trusted_work.Layer.os.system", "trusted_work.instance_of_os.system"),
    *("trusted_work.made", "trusted_work.ready", "trusted_work.caller", "os.popen", "trusted_work.os.popen"),
    *("torch.nn.utils.rnn.torch.os.system", "torch.nn.modules.module.functools.os.system", "builtins.exec"),
    *(
        "builtins.eval.__call__",
        "builtins.__import__",
        "os.__dict__",
        "trusted_work.build.__globals__.os.system",
    ),
    *(
        "trusted_work.build.__globals__",
        "trusted_work.Layer.method.__globals__",
        "trusted_work.build.__builtins__",
    ),
]
# Ways from data to code, for `${...}`: what an object is made of, not what it holds.
WALKS = {
    "path": ("!path x", "open.__func__.__globals__.os.system"),
    "path class": ("!path x", "__class__.open.__globals__.os.system"),
    "text": ("text", "upper"),
    "number": ("1", "__class__.__base__.__subclasses__"),
    "class": ("!name trusted_work.Layer", "os.system"),
    "class attribute": ("!name trusted_work.Layer", "system"),
    "function": ("!name trusted_work.build", "__globals__.os.system"),
    "list": ("[1]", "append.__self__.__class__"),
    "tuple": ("!tuple [1]", "__class__.__subclasses__"),
    "set": ("!set [1]", "pop"),
    "mapping": ("{a: 1}", "values.__func__.__globals__"),
    "shape": ("!construct [!name lazycfg.layers.ShapeSpec, [3], {}]", "__init__.__globals__"),
}
GETATTR = "!name builtins.getattr"
MODULE = "{_target_: torch.nn.Linear, in_features: 1, out_features: 1}"
YAML = {
    "frames of a generator": f"""
g: &g {{_target_: {{_target_: {GETATTR}, _args_: [{MODULE}, parameters]}}}}
b: &b {{_target_: {GETATTR}, _args_: [{{_target_: {GETATTR}, _args_: [*g, gi_frame]}}, f_builtins]}}
e: &e {{_target_: {{_target_: {GETATTR}, _args_: [*b, get]}}, _args_: [exec]}}
x: {{_target_: *e, _args_: [{PYTHON}]}}""",
    "attribute of what a method gives": f"""
g: &g {{_target_: {{_target_: {GETATTR}, _args_: [{{_target_: trusted_work.Layer}}, method]}}}}
x: {{_target_: {GETATTR}, _args_: [*g, real]}}""",
    "attribute of what a function gives": "x: {_target_: !name builtins.getattr, _args_: "
    "[{_target_: trusted_work.build}, method]}",
    "attribute of a partial": "x: {_target_: !name builtins.getattr, _args_: "
    "[{_target_: trusted_work.Layer, _partial_: true}, func]}",
    "globals by a wrapper": f"""
g: &g {{_target_: builtins.dict, _args_: [{{_target_: torch.nn.cpp.OrderedDictWrapper,
        _args_: [!name torch.nn.utils.clip_grad_norm_, __globals__]}}]}}
b: &b {{_target_: builtins.dict.get, _args_: [*g, __builtins__]}}
e: &e {{_target_: builtins.dict.get, _args_: [*b, exec]}}
x: {{_target_: *e, _args_: [{PYTHON}]}}""",
    "method of a dict": call("builtins.dict.get", "{a: 1}", "a"),
    "method that sets": call("torch.optim.lr_scheduler.LRScheduler.load_state_dict", "1", "{a: 1}"),
    "format": call("builtins.str.format", "'{0.__globals__}'", "!name trusted_work.build"),
    "private module": call("torch.nn.attention._fa3.register_flash_attention_fa3", "antigravity"),
    "writes files": call("lazycfg.data.datasets.coco_export.convert_to_coco_json", "1", '"{M}"'),
    "shell in torch": call("torch.utils.collect_env.run", f"[{TOUCH}]"),
    "list": '- "${evil:touch {M}}"\n- x',
    "list in a list": '- ["${oc.env:HOME}"]',
    **{
        f"walk from a {name}": f"p: {start}\nc: [{TOUCH}]\n"
        f'x: {{_target_: builtins.max, _args_: ["${{c}}"], key: "${{p.{way}}}"}}'
        for name, (start, way) in WALKS.items()
    },
    **{f"target {name}": call(name, TOUCH) for name in NAMES},
    **{f"name {name}": call(f"!name {name}", TOUCH) for name in NAMES},
    "eval": call("builtins.eval", PYTHON),
    "exec": call("builtins.exec", PYTHON),
    "compile": call("builtins.compile", PYTHON, "x", "exec"),
    "open": call("builtins.open", '"{M}"', "w"),
    "io.open": call("io.open", '"{M}"', "w"),
    "os.open": call("os.mkdir", '"{M}"'),
    "Popen": call("subprocess.Popen", ARGV),
    "Popen alias": call("trusted_work.Process", ARGV),
    "check_call": call("subprocess.check_call", ARGV),
    "path": call("pathlib.Path.touch", "!path {M}"),
    "path method": "x: {_target_: {_target_: !name builtins.getattr, _args_: [!path {M}, touch]}}",
    "path call method": "x: {_target_: {_target_: !name builtins.getattr, _args_: "
    "[{_target_: pathlib.Path, _args_: ['{M}']}, touch]}}",
    "partial": call("functools.partial", "!name os.system", TOUCH),
    "partial tag": "x: {_target_: !partial [!name os.system, [" + TOUCH + "], {}]}",
    "partial alias": call("trusted_work.partial", "!name trusted_work.system", TOUCH),
    "methodcaller": call("operator.methodcaller", "system", TOUCH),
    "methodcaller called": "x: {_target_: {_target_: operator.methodcaller, _args_: [system, "
    + TOUCH
    + "]}, "
    "_args_: [!name os]}",
    "attrgetter": "x: {_target_: {_target_: operator.attrgetter, _args_: [os.system]}, "
    "_args_: [!name subprocess]}",
    "itemgetter": call("operator.itemgetter", "system"),
    "operator.call": call("operator.call", "!name os.system", TOUCH),
    "type": call("builtins.type", "X", "[]", "{}"),
    "metaclass": call("trusted_work.Meta", "X", "[]", "{}"),
    "map": call("builtins.list", "{_target_: builtins.map, _args_: [!name os.system, [" + TOUCH + "]]}"),
    "sorted key": call("builtins.sorted", "[" + TOUCH + "]", key="!name os.system"),
    "max key": call("builtins.max", "[" + TOUCH + "]", key="!name trusted_work.run"),
    "defaultdict": call("collections.defaultdict", "!name os.system"),
    "reduce": call("functools.reduce", "!name os.system", "[" + TOUCH + "]"),
    "getattr chain": "x: {_target_: {_target_: builtins.getattr, _args_: [!name os, system]}, _args_: ["
    + TOUCH
    + "]}",
    "getattr dunder": "x: {_target_: builtins.getattr, _args_: [{_target_: trusted_work.Layer}, __class__]}",
    "getattr of class": "x: {_target_: !name builtins.getattr, _args_: [!name trusted_work.Layer, system]}",
    "getattr interpolated": "n: __init__\nx: {_target_: !name builtins.getattr, _args_: "
    "[{_target_: trusted_work.Layer}, '${n}']}",
    "getattr default": "x: {_target_: !name builtins.getattr, _args_: [1, a, {_target_: os.system, _args_: ["
    + TOUCH
    + "]}]}",
    "setattr": call("builtins.setattr", "!name trusted_work", "x", "1"),
    "importlib": call("importlib.import_module", "antigravity"),
    "runpy": call("runpy.run_path", '"{M}.py"'),
    "pickle": call("pickle.loads", "!bytes Y3Bvc2l4CnN5c3RlbQ=="),
    "marshal": call("marshal.loads", "!bytes YQ=="),
    "torch.load": call("torch.load", '"{M}.pt"'),
    "torch.hub": call("torch.hub.load", "a/b", "c"),
    "yaml.load": call("yaml.unsafe_load", '"!!python/object/apply:os.system [touch {M}]"'),
    "ctypes": call("ctypes.CDLL", '"libc.so.6"'),
    "timeit": call("timeit.timeit", PYTHON),
    "code": call("code.interact"),
    "own loader": call("lazycfg.config.loading.load.load", '"{M}.py"'),
    "own facade": call("lazycfg.LazyConfig.load", '"{M}.py"'),
    "own instantiate": call("lazycfg.instantiate", "{_target_: os.system, _args_: [" + TOUCH + "]}"),
    "own policy": call("lazycfg.config.trust.Policy", "[]", everything="true"),
    "nested target": "x: {_target_: trusted_work.build, x: {_target_: os.system, _args_: [" + TOUCH + "]}}",
    "in a list": "x: [[{_target_: os.system, _args_: [" + TOUCH + "]}]]",
    "in a tuple": "x: !tuple [{_target_: os.system, _args_: [" + TOUCH + "]}]",
    "target node": "x: {_target_: {_target_: builtins.getattr, _args_: "
    "[{_target_: builtins.__import__, _args_: [os]},"
    " system]}, _args_: [" + TOUCH + "]}",
    "target list": "x: {_target_: [os.system], _args_: [" + TOUCH + "]}",
    "target interpolation": "n: os.system\nx: {_target_: '${n}', _args_: [" + TOUCH + "]}",
    "target assembled": "n: system\nx: {_target_: 'os.${n}', _args_: [" + TOUCH + "]}",
    "merge key": "b: &b {_target_: os.system}\nx: {<<: *b, _args_: [" + TOUCH + "]}",
    "dict tag": "x: !dict [[_target_, os.system], [_args_, [" + TOUCH + "]]]",
    "object tag": "x: !object {_class_: !name subprocess.Popen, args: " + ARGV + "}",
    "construct tag": "x: !construct [!name os.system, [" + TOUCH + "], {}]",
    "construct Popen": "x: !construct [!name subprocess.Popen, [" + ARGV + "], {}]",
    "construct allowed class": "x: !construct [!name trusted_work.build, [], {}]",
    "attribute tag": "x: {_target_: !attribute [!name os, system], _args_: [" + TOUCH + "]}",
    "member tag": "x: !member [!name trusted_work.Layer, system]",
    "source": "_source_: \"open('{M}', 'w')\"\nx: 1",
    "source tag": "x: !source os.system",
    "config key": "_config_: {x: {_target_: os.system, _args_: [" + TOUCH + "]}}",
    "shared key": "_shared_: {a: !construct [!name os.system, [" + TOUCH + "], {}]}\nx: 1",
    "resolver": 'x: "${evil:touch {M}}"',
    "resolver in list": 'x: [["a ${evil:touch {M}}"]]',
    "resolver in argument": 'x: {_target_: trusted_work.Layer, a: "${evil:touch {M}}"}',
    "resolver assembled": 'n: evil\nx: "${${n}:touch {M}}"',
    "resolver in tuple": 'x: !tuple ["${evil:touch {M}}"]',
    "resolver in pairs": 'x: !dict [[1, "${evil:touch {M}}"]]',
    "resolver spaced": 'x: "${ evil : touch {M}}"',
    "python/object/apply": "x: !!python/object/apply:os.system [" + TOUCH + "]",
    "python/object/new": "x: !!python/object/new:os.system [" + TOUCH + "]",
    "python/name": "x: !!python/name:os.system ''",
    "python/module": "x: !!python/module:os ''",
    "python/object": "x: !!python/object:subprocess.Popen {args: " + ARGV + "}",
    "full tag": "x: !<tag:yaml.org,2002:python/object/apply:os.system> [" + TOUCH + "]",
    "unknown tag": "x: !evil 1",
    "private tag": "x: !_finish 1",
    "circle": "x: &a [*a]",
    "two documents": "x: 1\n---\nx: {_target_: os.system, _args_: [" + TOUCH + "]}",
    "bad base64": "x: !bytes '@@'",
    "policy from the file": "allow: [os]\ntrusted: true\nx: {_target_: os.system, _args_: [" + TOUCH + "]}",
    "module target": call("!name os"),
    "private": call("trusted_work._private", "1"),
}


@pytest.fixture
def evil_resolver():
    """A resolver that an application may well have registered."""
    omegaconf = pytest.importorskip("omegaconf")
    from resolver_registry import register

    register("evil", os.system)
    yield
    omegaconf.OmegaConf.clear_resolver("evil")


def attack(load, marker):
    """Load, check and build; returns the error that ended it."""
    error = None
    try:
        cfg = load()
        instantiate(cfg)
        for key in list(cfg):
            cfg[key]  # reads resolve interpolations
    except ConfigError as caught:
        error = caught
    assert not marker.exists()
    return error


@pytest.mark.parametrize("allow", [None, GENEROUS], ids=["default", "generous"])
@pytest.mark.parametrize("name", list(YAML))
def test_malicious_yaml(name, allow, tmp_path, marker, evil_resolver):
    file = tmp_path / "evil.yaml"
    file.write_text(YAML[name].replace("{M}", str(marker)))
    (tmp_path / "marker.py").write_text(f"open({str(marker)!r}, 'w')\n")
    modules = set(sys.modules)
    error = attack(lambda: LazyConfig.load(file, allow=allow), marker)
    assert error is not None
    assert str(file) in str(error)
    assert "antigravity" not in set(sys.modules) - modules


JSON = {
    "target": {"x": {"_target_": "os.system", "_args_": ["touch {M}"]}},
    "name": {"x": {"_target_": {"!name": "os.system"}, "_args_": ["touch {M}"]}},
    "construct": {"x": {"!construct": [{"!name": "os.system"}, ["touch {M}"], {}]}},
    "partial": {"x": {"_target_": {"!partial": [{"!name": "os.system"}, ["touch {M}"], {}]}}},
    "ref": {"_shared_": {"a": {"_target_": "os.system", "_args_": ["touch {M}"]}}, "x": {"!ref": "a"}},
    "source": {"_source_": "open('{M}', 'w')", "x": 1},
    "links": {"_links_": {"a": {"_target_": "os.system", "_args_": ["touch {M}"]}}, "x": {"!source": "a"}},
    "resolver": {"x": "${evil:touch {M}}"},
    "pairs": {"x": {"!dict": [["_target_", "os.system"]]}},
    "attribute": {"x": {"_target_": {"!attribute": [{"!name": "os"}, "system"]}, "_args_": ["touch {M}"]}},
    "unknown ref": {"x": {"!ref": "nothing"}},
    "unknown tag": {"x": {"!__class__": 1}},
}


@pytest.mark.parametrize("name", list(JSON))
def test_malicious_json(name, tmp_path, marker, evil_resolver):
    file = tmp_path / "evil.json"
    file.write_text(json.dumps(JSON[name]).replace("{M}", str(marker)))
    assert attack(lambda: LazyConfig.load(file), marker) is not None


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_pickle_is_no_data_file(suffix, tmp_path, marker):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    file = tmp_path / f"evil.{suffix}"
    for protocol in range(6):
        file.write_bytes(pickle.dumps(Evil(), protocol))
        assert attack(lambda: LazyConfig.load(file), marker) is not None


OVERRIDES = [
    *(f"model.x=@{name}" for name in NAMES),
    *(
        "model=@os.system",
        "model.x=@functools.partial",
        "model.x=@builtins.eval",
        "model.x=@operator.methodcaller",
    ),
    *(
        "model._target_=os.system",
        "++model._target_=os.system",
        "model.x={_target_:os.system,_args_:['touch {M}']}",
    ),
    *(
        "+model.y=[{_target_:os.system}]",
        "**._target_=os.system",
        "model.*=@os.system",
        "model.x='${evil:touch {M}}'",
    ),
    *(
        "model.x=[@os.system]",
        "model._target_='${train.n}'",
        "train+={_target_:os.system}",
        "model._tar*_=os.system",
    ),
    *(
        "model._target_=&train.n",
        "+y={_target_: &train.n, _args_: ['touch {M}']}",
        "+y=[{_target_: &train.n}]",
    ),
    *("model.x=&train.n", "+y=&attribute._target_", "attribute._args_.1=__class__", "attribute.1=__class__"),
    *("++attribute._args_.1=__class__", "attribute._args_+=[1]", "attribute._args_=[1,2]"),
    *("**.attribute._args_.1=__class__", "+y={_target_: &attribute._target_, _args_: [&model, __class__]}"),
    *("model.x='${path.open.__func__.__globals__.os.system}'", "model.x=&path.open.__func__.__globals__.os"),
    *(
        "model.x='${path.open}'",
        "model.x=&path.__class__",
        "path.open=1",
        "path.__class__=@trusted_work.Layer",
    ),
]


def overridden():
    attribute = L.attr(L(WORK.Layer)(x=1), "kwargs")
    return Node(model=L(WORK.Layer)(x=1), train=Node(n="os.system"), path=Path("x"), attribute=attribute)


@pytest.mark.parametrize("text", OVERRIDES)
def test_malicious_overrides(text, marker, evil_resolver):
    cfg = overridden()
    before = cfg.copy()
    error = attack(
        lambda: LazyConfig.apply_overrides(
            cfg, [text.replace("{M}", str(marker))], allow=("trusted_work", "os")
        ),
        marker,
    )
    assert error is not None
    if not text.startswith("model.x='${path"):  # nothing is wrong with an interpolation until it is read
        assert cfg == before


# ------------------------------------------------------------------------------- what is allowed


def test_what_the_calling_code_lists(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "a: {_target_: !name trusted_work.Layer, f: !name trusted_work.alias}\n"
        "b: {_target_: trusted_work.build}\n"
        "c: {_target_: {_target_: !name builtins.getattr, _args_: "
        "[{_target_: trusted_work.Layer}, method]}}\n"
        "d: {_target_: trusted_work.Layer.Inner}\n"
    )
    with pytest.raises(UntrustedError) as caught:
        LazyConfig.load(file)
    assert len(caught.value.refused) >= 4
    assert all(str(file) in text for text in caught.value.refused)
    assert f"{file}:1" in str(caught.value)
    for allow in (("trusted_work",), (WORK,)):
        with pytest.raises(UntrustedError, match=r"is no class.*trusted_work\.build") as caught:
            LazyConfig.load(file, allow=allow)
        assert len(caught.value.refused) == 3
        allow = (*allow, "trusted_work.build", "trusted_work.Layer.method")
        built = instantiate(LazyConfig.load(file, allow=allow))
        assert type(built["a"]) is WORK.Layer
        assert built["a"].kwargs["f"] is WORK.build
        assert built["c"] == 1
    assert LazyConfig.load(file, trusted=True).a["_target_"] is WORK.Layer


def test_the_default_policy(tmp_path):
    torch = pytest.importorskip("torch")
    file = tmp_path / "x.yaml"
    file.write_text(
        "m: &m {_target_: !name torch.nn.Linear, in_features: 2, out_features: 3}\n"
        "o: {_target_: torch.optim.SGD, lr: 0.1, params: "
        "{_target_: {_target_: !name builtins.getattr, _args_: "
        "[*m, parameters]}}}\nd: {_target_: collections.OrderedDict}\n"
    )
    built = instantiate(LazyConfig.load(file))
    assert type(built["m"]) is torch.nn.Linear
    assert built["o"].param_groups[0]["params"][0] is built["m"].weight


@pytest.mark.parametrize(
    "name", ["BBoxIOUTracker", "VanillaHungarianBBoxIOUTracker", "IOUWeightedHungarianBBoxIOUTracker"]
)
def test_a_tracker_of_ours_may_stand_in_a_saved_config(tmp_path, name):
    pytest.importorskip("torch")
    tracker = getattr(importlib.import_module("lazycfg.tracking"), name)
    LazyConfig.save(Node(tracker=L(tracker)(video_height=4, video_width=6)), tmp_path / "c.yaml")
    loaded = LazyConfig.load(tmp_path / "c.yaml")
    assert type(instantiate(loaded.tracker)) is tracker


def test_exact_entries_allow_what_packages_do_not():
    policy = Policy(("functools.partial", os.getcwd, "trusted_work.system"))
    assert policy.resolve("functools.partial") is functools.partial
    assert policy.resolve("trusted_work.system") is os.system
    assert policy.resolve("posix.getcwd") is os.getcwd
    with pytest.raises(UntrustedError):
        Policy(("functools",)).resolve("functools.partial")
    with pytest.raises(UntrustedError):
        Policy(("operator",)).resolve("operator.methodcaller")
    assert TRUST_ALL.resolve("operator.methodcaller") is operator.methodcaller


def test_resolvers_can_be_allowed(tmp_path, monkeypatch):
    pytest.importorskip("omegaconf")
    monkeypatch.setenv("TRUST_TEST", "7")
    file = tmp_path / "x.yaml"
    file.write_text("a: ${oc.env:TRUST_TEST}\nb: ${a}\n")
    with pytest.raises(UntrustedError, match="resolver"):
        LazyConfig.load(file)
    assert LazyConfig.load(file, allow=("resolver:oc.env",)).b == "7"


def test_a_policy_cannot_be_changed():
    policy = Policy(("torch.nn",))
    with pytest.raises(AttributeError):
        policy.everything = True
    with pytest.raises(AttributeError):
        policy._packages = frozenset(("os",))


def test_nothing_outside_the_allowed_packages_is_imported(tmp_path):
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    (tmp_path / "x.yaml").write_text("x: {_target_: !name evil_module.f}\ny: {_target_: evil_module.g}\n")
    code = f"from lazycfg import LazyConfig\nLazyConfig.load({str(tmp_path / 'x.yaml')!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "UntrustedError" in result.stderr
    assert not (tmp_path / "marker").exists()


def test_who_wrote_a_file_makes_no_difference(tmp_path):
    cfg = Node(x=L(WORK.Layer)(a=1))
    LazyConfig.save(cfg, tmp_path / "x.yaml")
    with pytest.raises(UntrustedError):
        LazyConfig.load(tmp_path / "x.yaml")
    assert LazyConfig.load(tmp_path / "x.yaml", allow=("trusted_work",)) == cfg
    assert LazyConfig.load(tmp_path / "x.yaml", trusted=True) == cfg


def test_resolvers_that_look_only_at_the_config_are_free(tmp_path, monkeypatch):
    file = tmp_path / "x.yaml"
    file.write_text(
        'a: {b: 1, c: 2}\nd: "${oc.select:a.b,7}"\ne: "${oc.select:a.x,7}"\nf: "${oc.dict.keys:a}"\n'
        'g: "${oc.dict.values:a}"\nh: "${oc.env:DETECTRON2_DATASETS,datasets}/coco"\n'
    )
    monkeypatch.setenv("DETECTRON2_DATASETS", "/data")
    cfg = LazyConfig.load(file)
    assert (cfg.d, cfg.e, list(cfg.f), list(cfg.g), cfg.h) == (1, 7, ["b", "c"], [1, 2], "/data/coco")


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${oc.env:DETECTRON2_DATASETS${a}}", "${oc.env:'HOME'}",
    "${oc.env: HOME,x}", "${oc.select:a,${oc.env:HOME}}", "${oc.create:x}", "${oc.decode:x}"])  # fmt: skip
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_other_resolvers_are_refused_with_their_line(tmp_path, text, suffix):
    file = tmp_path / f"x.{suffix}"
    file.write_text(json.dumps({"a": 1, "m": {"one": 1, "deep": [[text]]}}, indent=1))
    with pytest.raises(UntrustedError, match=rf"x\.{suffix}:5: the resolver"):
        LazyConfig.load(file)


def test_one_variable_or_all_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_TEST", "7")
    file = tmp_path / "x.yaml"
    file.write_text("a: ${oc.env:TRUST_TEST}\n")
    for entry in ("resolver:oc.env:TRUST_TEST", "resolver:oc.env"):
        assert LazyConfig.load(file, allow=(entry,)).a == "7"
    with pytest.raises(UntrustedError, match=r"oc\.env:TRUST_TEST"):
        LazyConfig.load(file, allow=("resolver:oc.env:OTHER",))


# ------------------------------------------------------------------------------- looking at data files

TAGS = {
    "set": "x: !set [{C}]",
    "frozenset": "x: !frozenset [{C}]",
    "set of objects": "x: !set [!object {_class_: !name subprocess.Popen, args: [touch, '{M}']}]",
    "dict key": "x: !dict [[{C}, 1]]",
    "dict value": "x: !dict [[1, {C}]]",
    "path": "x: !path [{C}, x]",
    "path text": "x: !path {C}",
    "float": "x: !float {C}",
    "complex": "x: !complex [{C}, 1]",
    "bytes": "x: !bytes {C}",
    "tuple": "x: !tuple [{C}, {C}]",
    "partial": "x: {_target_: builtins.dict, _partial_: {C}}",
    "partial tag": "x: !partial [{C}, [1], {}]",
    "target": "x: {_target_: {C}}",
    "args": "x: {_target_: builtins.dict, _args_: {C}}",
    "argument": "x: {_target_: builtins.dict, a: {C}, b: {C}}",
    "member": "x: !member [{C}, a]",
    "attribute": "x: !attribute [{C}, a]",
    "plain": "x: {C}\ny: {C}",
    "wrapped": "x: !construct [{C}, [{C}], {a: {C}}]",
    "module": "x: {_target_: evil_module_of_this_test.f, a: 2}",
    "module by position": "x: {_target_: evil_module_of_this_test.f, _args_: [1]}",
    "module name": "x: {_target_: !name evil_module_of_this_test.f, a: 2}",
    "module names": "x: !set [!name evil_module_of_this_test.f, !name evil_module_of_this_test.g]",
}


@pytest.mark.parametrize("name", list(TAGS))
def test_looking_at_a_data_file_runs_nothing(name, tmp_path, marker, monkeypatch, capsys):
    from lazycfg.cli.main import main

    call = '!construct [!name os.system, ["touch {M}"], {}]'
    text = TAGS[name].replace("{C}", call).replace("{M}", str(marker))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = f"open({str(marker)!r}, 'w')\ndef deco(f): return f\n@deco\ndef f(a, *b): ...\ng = f\n"
    (tmp_path / "evil_module_of_this_test.py").write_text(source)
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(f"{text}\nz: 1\n")
    commands = """show a.yaml;show a.yaml --format yaml;show a.yaml --format py;show a.yaml x.a=3;get a.yaml x
        explain a.yaml x;explain a.yaml x.a;doc a.yaml x;doc a.yaml x.a;grep a a.yaml;graph a.yaml -o a.html
        diff a.yaml b.yaml;diff a.yaml x.a=3;sweep a.yaml x.a=1,2;drift a.yaml;check a.yaml;save a.yaml c.py
        """
    typed = ("lazycfg show a.yaml x", "lazycfg get a.yaml x.a=")
    for words in (
        *(command.split() for line in commands.strip().splitlines() for command in line.split(";")),
        *(["--complete", text] for text in typed),
    ):
        main(words)
        assert not marker.exists(), words
    assert "evil_module_of_this_test" not in sys.modules


def test_completion_types_nothing_that_a_shell_would_run(tmp_path, monkeypatch, capsys):
    from lazycfg.cli.main import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text('"$(touch x)": 1\n"`id`": 1\n"a;b": 1\n"line\\nbreak": 1\nplain: 1\n')
    (tmp_path / "$(touch x).yaml").write_text("a: 1\n")
    main(["--complete", "lazycfg show a.yaml "])
    main(["--complete", "lazycfg show ./"])
    shown = capsys.readouterr().out
    assert "plain" in shown
    assert "\\$\\(touch" in shown
    assert "break" not in shown
    assert not any(line.lstrip().startswith(("$", "`")) or "a;b" in line for line in shown.splitlines())


BOMBS = {
    "fraction": 'a: !construct [!name fractions.Fraction, ["1e10000000"], {}]',
    "tuples": "t0: &t0 !tuple [1]\n"
    + "".join(f"t{i}: &t{i} !tuple [*t{i - 1}, *t{i - 1}]\n" for i in range(1, 40))
    + "s: !set [*t39]",
    "lists": "t0: &t0 [1]\n"
    + "".join(f"t{i}: &t{i} [*t{i - 1}, *t{i - 1}]\n" for i in range(1, 40))
    + "s: !tuple [*t39]",
    "merges": "m: &m {"
    + ", ".join(f"k{i}: 1" for i in range(1500))
    + "}\nl:\n"
    + "".join("- {<<: *m}\n" for _ in range(1500)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_short_file_cannot_take_hours_or_all_memory(tmp_path, name):
    (tmp_path / "bomb.yaml").write_text(BOMBS[name])
    with pytest.raises(DataFileError, match=r"bomb\.yaml.*(exponent|unfolded|keys into)"):
        LazyConfig.load(tmp_path / "bomb.yaml")


@pytest.mark.parametrize("command", ["show", "grep", "diff", "explain"])
def test_control_characters_do_not_reach_the_terminal(tmp_path, capsys, command):
    """They could hide lines, or type at the prompt."""
    file = tmp_path / "c.yaml"
    file.write_text('a:\n  "k\\e[31mred": 1\nc: {_target_: "torch.nn.Lin\\e[31mear", x: 1}\n')
    words = {
        "show": [str(file)],
        "grep": ["red|ear", str(file)],
        "diff": [str(file), "a={}"],
        "explain": [str(file), "a.y"],
    }
    main([command, *words[command]])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "x1b[31m" in said.out + said.err


@pytest.mark.parametrize("words", ["graph x.yaml -o x.svg", "graph x.yaml -o x.html", "get x.yaml n", "explain x.yaml n",
    "get x.yaml m.a", "show x.yaml", "doc x.yaml m.a", "diff x.yaml n=1", "grep . x.yaml", "show x.yaml --format py"])  # fmt: skip
def test_looking_at_a_data_file_tells_no_secret(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "hunter2")
    (tmp_path / "x.yaml").write_text(
        'm: {_target_: builtins.dict, a: "${n}", b: "x${oc.env:SECRET}"}\nn: "${oc.env:SECRET}"\nl: ["${n}"]\n'
    )
    main(words.split())
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert all("hunter2" not in file.read_text() for file in tmp_path.iterdir())
    main(["get", "x.yaml", "n", "--allow", "resolver:oc.env:SECRET"])
    assert capsys.readouterr().out == "hunter2\n"


def test_no_picture_and_no_page_holds_what_the_environment_does(monkeypatch):
    from lazycfg.inspection.graph_drawing import to_html, to_svg

    monkeypatch.setenv("SECRET", "hunter2")
    cfg = Node(m=L(dict)(a="${n}", b="${oc.env:SECRET}"), n="${oc.env:SECRET}")
    assert cfg.n == "hunter2"
    for text in (to_svg(cfg), to_html(cfg), cfg._repr_html_()):
        assert "hunter2" not in text


def test_a_home_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    LazyConfig.save(Node(a=1), "~/x.yaml")
    assert LazyConfig.load("~/x.yaml") == Node(a=1)
    assert (tmp_path / "x.yaml").is_file()


def test_code_in_a_file_is_not_allowed_by_a_name(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text('_source_: "def f(): pass"\n_config_: {n: 1}\n')
    assert main(["get", str(tmp_path / "x.yaml"), "n"]) == 2
    said = capsys.readouterr().err
    assert "add --trusted if you trust the file as code" in said
    assert "--allow" not in said
    assert main(["get", str(tmp_path / "x.yaml"), "n", "--trusted"]) == 0
