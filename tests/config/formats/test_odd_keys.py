"""Keys that mean something to a format or the loader: what is saved loads equal, or saving says why."""

from collections import OrderedDict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazycfg.config.formats.document import DataFileError, SaveError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.inspection.equality import equal_configs
from lazycfg.inspection.hashing import hash_of

_MARKS = [
    "!x",
    "!",
    "!ref",
    "!dict",
    "!tuple",
    "!name",
    "@x",
    "<<",
    "=",
    "~",
    "*a",
    "&a",
    "- a",
    "? a",
    ": a",
]
_MARKS += ["#a", "a #b", "a: b", "[", "{", "'", '"', "\\", "`", "|", ">", "%a", "---", "..."]
_RESERVED = ["_source_", "_shared_", "_config_", "_links_", "_order_", "_args_", "_partial_", "_target_"]
_NAMES = ["class", "self", "print", "L", "lazycfg", "Node", "dict", "float", "items", "keys", "REQUIRED"]
_NAMES += ["__config__", "__debug__", "__x__", "_x", "\u00e9", "\ufb01", "a.b", "a b", "${x}", "", " "]
_SCALARS = [
    "null",
    "true",
    "yes",
    "y",
    "None",
    "True",
    "1",
    "1.5",
    "1e3",
    "0x10",
    "-1",
    "2020-01-01",
    "12:30",
]
_SIGNS = ["\n", "\t", "\ufeff", "\x85", "\u2028", "\ud800", "\ud83d\ude00"]
_ODD = st.sampled_from([*_MARKS, *_RESERVED, *_NAMES, *_SCALARS, *_SIGNS])
_KEYS = _ODD | st.text(max_size=3) | st.integers(-2, 2) | st.none() | st.booleans() | st.binary(max_size=2)
_KEYS |= st.recursive(st.integers(0, 2) | st.text(max_size=1), st.tuples).filter(
    lambda key: type(key) is tuple
)


def thing(**kwargs):
    return kwargs


def calls(below):
    names = _ODD.filter(lambda name: name not in ("_target_", "_args_", "_partial_"))
    return st.dictionaries(names, below, max_size=2).map(lambda given: L(thing)(**given))


_TREES = st.recursive(
    st.none() | st.floats(allow_nan=False) | _ODD | st.sampled_from([(), (1, 2), {1, 2}]),
    lambda below: st.dictionaries(_KEYS, below, max_size=3) | st.lists(below, max_size=3) | calls(below),
    max_leaves=6,
)
_ROOTS = st.dictionaries(_ODD, _TREES, max_size=2) | st.dictionaries(_KEYS, _TREES, max_size=2)


@pytest.mark.filterwarnings("ignore:argument .* is named like a method")
@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(root=_ROOTS)
def test_what_is_saved_loads_equal(root, suffix, tmp_path):
    file = tmp_path / f"saved.{suffix}"
    try:
        LazyConfig.save(Node(root), file)
    except SaveError as error:
        reason = str(error)
    else:
        reason = None
    if reason is not None:
        no_call = "is no name of an argument" in reason or "'_args_' is a list, not" in reason
        assert no_call or (suffix != "py" and "surrogate" in reason)
        return
    loaded = LazyConfig.load(file, trusted=True)
    assert equal_configs(loaded, Node(root))
    assert "_target_" in root or list(loaded) == list(root)


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
@pytest.mark.parametrize(
    "root",
    [
        *({"!x": 1}, {"!ref": "a"}, {"!x": 1, "b": 2}, {"_args_": [1]}, {"a": {"_args_": []}}),
        *({"_target_": {}}, {"a": {"_target_": [1]}}, {"a": {"_target_": (), "x": 1}}),
    ],
    ids=str,
)
def test_the_smallest_ones(root, suffix, tmp_path):
    LazyConfig.save(Node(root), tmp_path / f"saved.{suffix}")
    assert equal_configs(LazyConfig.load(tmp_path / f"saved.{suffix}", trusted=True), Node(root))


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_a_call_keeps_a_keyword_that_looks_like_a_tag(suffix, tmp_path):
    cfg = Node(a=L(thing)(**{"!x": 1}), shared=L(thing)(**{"!ref": 2}))
    cfg.again = cfg.shared
    LazyConfig.save(cfg, tmp_path / f"saved.{suffix}")
    loaded = LazyConfig.load(tmp_path / f"saved.{suffix}", trusted=True)
    assert equal_configs(loaded, cfg)
    assert loaded.again is loaded.shared


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_a_call_with_a_keyword_that_is_no_text_is_not_saved(suffix, tmp_path):
    with pytest.raises(SaveError, match=r"config path 'a': .* 1 is no name of an argument"):
        LazyConfig.save(Node(a=Node({"_target_": "a.b", 1: 2})), tmp_path / f"saved.{suffix}")
    assert not list(tmp_path.iterdir())


def test_two_surrogates_do_not_become_one_character(tmp_path):
    for cfg in (Node(a="\ud83d\ude00"), Node({"\ud83d\ude00": 1}), Node(a=Node({"\ud83d\ude00": 1}))):
        with pytest.raises(SaveError, match="a pair of surrogates"):
            LazyConfig.save(cfg, tmp_path / "c.json")
        LazyConfig.save(cfg, tmp_path / "c.py")
        assert equal_configs(LazyConfig.load(tmp_path / "c.py"), cfg)
    LazyConfig.save(Node(a="\ude00\ud83d", b="\U0001f600"), tmp_path / "c.json")
    assert dict(LazyConfig.load(tmp_path / "c.json")) == {"a": "\ude00\ud83d", "b": "\U0001f600"}


def test_nothing_stands_beside_the_whole_config(tmp_path):
    (tmp_path / "c.yaml").write_text("_config_: [1, 2]\nforgotten: 3\n")
    with pytest.raises(DataFileError, match="'forgotten' cannot stand beside it"):
        LazyConfig.load(tmp_path / "c.yaml")


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_a_dict_that_is_a_call_is_saved_as_one(suffix, tmp_path):
    cfg = Node(parts=[1])
    cfg.parts.append({"_target_": "collections.Counter", "x": 2})
    assert hash_of(cfg) == hash_of(Node(parts=[1, L("collections.Counter")(x=2)]))
    LazyConfig.save(cfg, tmp_path / f"saved.{suffix}")
    loaded = LazyConfig.load(tmp_path / f"saved.{suffix}")
    assert equal_configs(loaded, cfg)
    assert hash_of(loaded) == hash_of(cfg)


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
@pytest.mark.parametrize("partial", [None, False, True])
def test_what_partial_says_is_kept(suffix, partial, tmp_path):
    cfg = Node(a=Node({"_target_": "collections.Counter", "_partial_": partial}))
    LazyConfig.save(cfg, tmp_path / f"saved.{suffix}")
    loaded = LazyConfig.load(tmp_path / f"saved.{suffix}", trusted=True)
    assert dict.get(loaded.a, "_partial_") is partial


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_a_tuple_is_a_key_like_any_other(suffix, tmp_path):
    values = {
        "plain": {(1, 2): 3, ((), "a"): 4},
        "ordered": OrderedDict({(1,): 2}),
        "sets": {frozenset([1]): 2},
    }
    LazyConfig.save(Node(values), tmp_path / f"x.{suffix}")
    assert LazyConfig.load(tmp_path / f"x.{suffix}") == Node(values)
