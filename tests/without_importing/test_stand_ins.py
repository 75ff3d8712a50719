"""Stand-ins: reading a config without importing agrees with loading it, for every config of the zoo."""

import copy
import functools
import json
import pickle
import subprocess
import sys

import pytest

from lazycfg.config.errors import TargetError
from lazycfg.config.formats.files import read_data_file
from lazycfg.config.trust import TRUST_ALL
from lazycfg.without_importing.files import StandInDecoder
from lazycfg.without_importing.stand_ins import IF_THERE, NEVER, StandIn

# The configs are read first, in a process that has not imported torch; then the same ones are loaded.
_AGREE = """
import copy, json, pathlib, sys
from lazycfg import model_zoo
from lazycfg.config.editing.overrides import OverrideError, apply_overrides
from lazycfg.inspection.tree_view import tree_text
from lazycfg.config.loading.load import load
from lazycfg.without_importing.stand_ins import StandIn, resolve_stand_in
from lazycfg.without_importing.files import read_file
from lazycfg.config.tree.node import is_call, raw_get
from lazycfg.config.tree.traversal import walk

OVERRIDES = [
    "train.max_iter=7", "train.no_such_setting=1", "train.max_iter=soon", "optimizer.lr=0.5",
    "dataloader.train.total_batch_size=3", "dataloader.train.total_batch_size=many", "**.no_such_key=1",
    "**.norm=BN", "+optimizer.lr=1", "optimizer.lr=x",  # the last one has to import torch
]

def accepted(cfg, text, **options):
    try:
        return tree_text(apply_overrides(copy.deepcopy(cfg), [text], **options))
    except OverrideError as error:
        return str(error)

def calls(cfg):
    return {path: value for path, value in walk(cfg) if is_call(value)}

folder = pathlib.Path(next(iter(model_zoo.__path__)))
files = [p for p in sorted(folder.rglob("*.py")) if p.name != "__init__.py" and "common" not in p.parts]
read = {file: read_file(file) for file in files}
shown = {file: tree_text(cfg) for file, cfg in read.items()}
results = {(file, text): accepted(read[file], text) for text in OVERRIDES[:-1] for file in files}
deferred = "torch" not in sys.modules
results |= {(file, OVERRIDES[-1]): accepted(read[file], OVERRIDES[-1]) for file in files}
wrong = []
for file in files:
    real = load(file)
    if tree_text(real) != shown[file]:
        wrong.append(f"{file.name}: shown differently")
    expected, found = calls(real), calls(read[file])
    if expected.keys() != found.keys():
        wrong.append(f"{file.name}: other paths, {expected.keys() ^ found.keys()}")
    for path, node in expected.items():
        same = list(node) == list(found[path]) and raw_get(node, "_target_") is resolve_stand_in(
            raw_get(found[path], "_target_"))
        if not same:
            wrong.append(f"{file.name}: {path} is another call")
    for text in OVERRIDES:
        after = accepted(real, text)
        if after != results[file, text]:
            wrong.append(f"{file.name}: {text}: {results[file, text][:200]} | {after[:200]}")
print(json.dumps({"files": len(read), "deferred": deferred, "wrong": wrong}))
"""


@pytest.mark.slow
def test_reading_agrees_with_loading_for_the_whole_zoo():
    found = subprocess.run([sys.executable, "-c", _AGREE], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    told = json.loads(found.stdout)
    assert told["deferred"], "reading the zoo imports torch"
    assert told["files"] > 60
    assert told["wrong"] == []


def test_a_name_that_is_never_imported():
    name = StandIn(("no_such_module", "Thing"), None, NEVER)
    call = name(1, x=2)
    assert (str(name), repr(call)) == ("no_such_module.Thing", "Thing(1, x=2)")
    assert str(name.part) == "no_such_module.Thing.part"
    for use in (lambda: name + 1, lambda: list(call), lambda: call < 2, lambda: setattr(name, "x", 1)):
        with pytest.raises(TargetError, match="imports and calls nothing"):
            use()
    with pytest.raises(AttributeError):
        _ = call.x


def test_equality_imports_nothing_where_it_may_not():
    never = StandIn(("no_such_module", "Thing"), None, NEVER)
    on_use = StandIn(("no_such_module", "Thing"))
    assert never == on_use
    assert never(1) == on_use(1)
    assert never(1) != on_use(2)
    assert never != 1
    assert hash(never) == hash(StandIn(("no_such_module", "Thing"), None, NEVER))
    assert bool(never)


def test_a_stand_in_is_the_object_wherever_it_is_used():
    fraction = StandIn(("fractions", "Fraction"))
    half = fraction(1, 2)
    assert half + half == 1
    assert 1 - half == half
    assert 2**half == 2**0.5
    assert f"{half}" == "1/2"
    assert half.denominator == 2
    assert copy.deepcopy(half) is half
    assert pickle.loads(pickle.dumps(half)) == half
    assert isinstance(half, StandIn)
    assert issubclass(type("Sub", (fraction.__mro_entries__(())[0],), {}), fraction)


def test_what_may_be_gone_is_a_class_until_it_is_needed():
    gone = StandIn(("fractions", "Gone"), None, IF_THERE)
    assert gone.__lazycfg_kind__() == "class"
    assert gone.__mro_entries__(()) == ()
    with pytest.raises(TargetError, match="'fractions' has no 'Gone'"):
        gone.__lazycfg_resolve__()


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_data_file_is_read_without_making_anything(tmp_path, suffix):
    text = {
        "yaml": "x: !object\n  _class_: !name no_such_module.Thing\n  size: 3\n"
        "y: !member [!name no_such.E, A]\n",
        "json": '{"x": {"!object": {"_class_": {"!name": "no_such_module.Thing"}, "size": 3}},'
        ' "y": {"!member": [{"!name": "no_such.E"}, "A"]}}',
    }[suffix]
    (tmp_path / f"c.{suffix}").write_text(text)
    decoder = functools.partial(StandInDecoder, reading=NEVER)
    cfg = read_data_file(tmp_path / f"c.{suffix}", policy=TRUST_ALL, decoder=decoder)
    assert (repr(cfg.x), str(cfg.y)) == ("Thing(size=3)", "no_such.E.A")
