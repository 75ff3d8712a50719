"""Malicious data files and command lines: each would create a marker file; none does, each is refused.

Every input is loaded under the default policy and under a generous one, and what loads is checked and built.
"""

import json
import os
import pickle
import sys
from pathlib import Path

import pytest
from module_to_trust import WORK

from lazycfg.config.building.build import instantiate
from lazycfg.config.errors import ConfigError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node

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
