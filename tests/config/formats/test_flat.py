"""Configs as one level of names and plain values."""

import json
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import LazyConfig
from lazycfg.config import UntrustedError
from lazycfg.config.errors import FormatError
from lazycfg.config.formats.flat import from_flat, to_flat
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.diff import diff

texts = st.text(max_size=6) | st.sampled_from(
    ["@", "@{}", "@[]", "@@x", "5", "null", "a.b", "[0]", "!name", "0"]
)
leaves = texts | st.none() | st.booleans() | st.integers() | st.floats()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def shuffled(flat):
    """As a tracker gives it back: in another order, through JSON."""
    names = list(flat)
    random.Random(0).shuffle(names)
    return json.loads(json.dumps({name: flat[name] for name in names}))


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(texts.filter(lambda key: not key.startswith(("!", "_order_"))), values, max_size=4))
def test_what_goes_in_comes_out(content):
    cfg = to_nodes(content)
    flat = to_flat(cfg)
    assert all(isinstance(value, str | int | float | bool | None) for value in flat.values())
    back = from_flat(shuffled(flat))
    assert not diff(cfg, back)
    # Also the order of keys
    assert LazyConfig.to_py(back) == LazyConfig.to_py(cfg)


def test_calls_and_shared_nodes():
    shared = L(Fraction)(numerator=1, denominator=2)
    cfg = to_nodes(
        {"b": L(dict)(x=shared, y=shared, z=[shared, (1, 2)]), "a": "${b.x}", "_c": {"t": Fraction}}
    )
    flat = to_flat(cfg)
    assert flat["_c.t"] == "@fractions.Fraction"
    back = from_flat(shuffled(flat), trusted=True)
    assert back.b.x is back.b.y is back.b.z[0]
    assert list(back) == ["b", "a", "_c"]
    assert not diff(cfg, back)


@pytest.mark.parametrize("name", ["quickstart/mask_rcnn_shapes.py", "ViTDet/mask_rcnn_vitdet_b_100ep.py"])
def test_configs_of_the_zoo(name):
    from lazycfg import model_zoo

    cfg = model_zoo.get_config(name)
    assert not diff(cfg, from_flat(shuffled(to_flat(cfg)), trusted=True))


def test_it_is_trusted_no_more_than_a_file():
    import textwrap

    flat = to_flat(to_nodes({"a": L(textwrap.dedent)(text="x")}))
    with pytest.raises(UntrustedError, match="dedent"):
        from_flat(flat)
    assert from_flat(flat, allow=["textwrap.dedent"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda flat: flat.pop("a.x"), "not whole"),
        (lambda flat: flat.pop("_order_"), "not whole"),
        (lambda flat: flat.update(_order_="0,x"), "not whole"),
        (lambda flat: flat.update({"new": 1}), "not whole"),
        (lambda flat: flat.update({"a": flat.pop("a.y")}), "below"),
        (lambda flat: flat.update({"l.7": flat.pop("l.1")}), "indices"),
    ],
)
def test_what_is_damaged_is_refused(change, said):
    flat = to_flat(to_nodes({"a": {"x": 1, "y": 2}, "l": [1, 2]}))
    change(flat)
    with pytest.raises(FormatError, match=said):
        from_flat(flat)


def test_a_key_of_its_own_is_refused():
    with pytest.raises(FormatError, match="_order_"):
        to_flat(to_nodes({"_order_": 1}))
