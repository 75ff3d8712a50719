"""`to_dict`, `get_path` with a default, `freeze`, `with_defaults`."""

import json
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction

import pytest

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, check, diff, get_path, instantiate
from lazycfg.config import Node, freeze, merge, to_dict, with_defaults
from lazycfg.config.errors import InterpolationError, PathError
from lazycfg.config.tree.required import REQUIRED


@dataclass
class Size:
    width: int
    names: list


def build(a, b=2, *, c=(1, 2), d="${x}"):
    return (a, b, c, d)


def config():
    shared = Node(k="${n}")
    return Node(
        n=3,
        model=L(Fraction)(numerator="${n}", denominator=L("fractions.Fraction")(numerator=1)),
        size=Size("${n}", ["${n}", 1]),
        pair=(1, "${n}"),
        other=OrderedDict(a="${n}"),
        missing=REQUIRED,
        left=shared,
        right=[shared],
    )


def test_a_config_as_plain_dicts_and_lists():
    cfg = config()
    plain = to_dict(cfg)
    inner = {"_target_": "fractions.Fraction", "numerator": 1}
    assert plain == {
        "n": 3,
        "model": {"_target_": "fractions.Fraction", "numerator": 3, "denominator": inner},
        "size": {"width": 3, "names": [3, 1]},
        "pair": [1, 3],
        "other": {"a": 3},
        "missing": "???",
        "left": {"k": 3},
        "right": [{"k": 3}],
    }
    assert type(plain) is type(plain["model"]) is type(plain["other"]) is dict
    assert plain["left"] is plain["right"][0]
    json.dumps(plain)
    assert cfg == config()


def test_a_config_as_plain_dicts_with_its_interpolations():
    plain = to_dict(config(), resolve=False)
    assert plain["pair"] == [1, "${n}"]
    assert plain["size"] == {"width": "${n}", "names": ["${n}", 1]}
    with pytest.raises(InterpolationError, match="nowhere"):
        to_dict(Node(a="${nowhere}"))
    assert to_dict(Node(a="${nowhere}"), resolve=False) == {"a": "${nowhere}"}
    part = config().model
    assert to_dict(part)["numerator"] == 3
    assert to_dict([Node(a=1), 2]) == [{"a": 1}, 2]


def test_what_is_not_there_has_a_default():
    cfg = config()
    assert get_path(cfg, "model.nothing", None) is None
    assert get_path(cfg, "model.nothing.more", default=7) == 7
    assert get_path(cfg, "model.numerator", 7) == 3
    with pytest.raises(PathError, match="nothing"):
        get_path(cfg, "model.nothing")
    with pytest.raises(PathError, match="dot"):
        get_path(cfg, "model.", None)


def test_a_frozen_config_refuses_every_change():
    cfg = Node(lr=1, steps=[1, 2], plain={"a": [1]}, net=L(build)(a=1, b={"k": 1}), same="${steps}")
    cfg.net.update(a=2)
    assert freeze(cfg) is cfg
    for change in (
        lambda: setattr(cfg, "lr", 2),
        lambda: cfg.update(lr=2),
        lambda: cfg.pop("lr"),
        lambda: cfg.clear(),
        lambda: cfg.__delitem__("lr"),
        lambda: setattr(cfg.net, "b", 1),
        lambda: cfg.net.setdefault("c", 1),
        lambda: cfg.steps.append(3),
        lambda: cfg.plain["a"].append(3),
        lambda: cfg.net.b.update(k=3),
        lambda: LazyConfig.apply_overrides(cfg, ["lr=2"]),
        lambda: LazyConfig.apply_overrides(cfg, ["steps.0=2"]),
        lambda: cfg.__ior__({"lr": 2}),
        lambda: cfg.same.append(3),
        lambda: get_path(cfg, "steps").append(3),
        lambda: get_path(cfg, "net.b").update(k=3),
    ):
        with pytest.raises(TypeError, match="frozen"):
            change()
    with pytest.raises(TypeError, match=r"^net is frozen: change a copy of the config, cfg.copy\(\)"):
        cfg.net.a = 1
    expected = Node(lr=1, steps=[1, 2], plain={"a": [1]}, net=L(build)(a=2, b={"k": 1}), same="${steps}")
    assert cfg == expected
    assert instantiate(cfg)["net"] == (2, {"k": 1}, (1, 2), "${x}")
    assert type(instantiate(cfg)["steps"]) is list
    assert check(cfg) == []
    for copy in (cfg.copy(), pickle.loads(pickle.dumps(cfg)), merge(cfg, {"lr": 1})):
        copy.lr = 5
        copy.steps.append(3)
        assert (copy.lr, copy.steps) == (5, [1, 2, 3])
    assert cfg.lr == 1


def test_parents_are_known_in_a_frozen_config():
    cfg = freeze(Node(w=5, parts=[L(build)(a="${w}"), {"p": L(build)(a="${....w}")}]))
    assert cfg.parts[0].a == 5
    assert instantiate(cfg)["parts"][0][0] == 5


def test_defaults_are_written_in_on_request():
    cfg = Node(net=L(build)(a=1, c=5), some=L.partial(build)(a=1), use="${net.b}", typo=L("no.such.thing")())
    full = with_defaults(cfg)
    assert dict(full.net) == {"_target_": build, "a": 1, "c": 5, "b": 2}
    assert full.use == 2
    assert "b" not in full.some
    assert "b" not in cfg.net
    assert not diff(with_defaults(full), full)
    by_position = with_defaults(Node(net=L(build)(1, 7)))
    assert by_position.net.b == 7


def test_what_is_written_to_a_default_stays_in_the_config():
    def net(sizes=[1], options={"k": [1]}):  # noqa: B006
        return sizes, options

    cfg = with_defaults(Node(n=L(net)()))
    LazyConfig.apply_overrides(cfg, ["n.sizes+=[2]", "n.options.k.0=5"])
    assert instantiate(cfg)["n"] == ([1, 2], {"k": [5]})
    assert net() == ([1], {"k": [1]})


def test_every_tuple_becomes_a_list():
    cfg = Node(a=(1, 2), b=L(max)(1, 2), c=((1,), {"k": (2,)}), d="${a}")
    for resolve in (True, False):
        plain = to_dict(cfg, resolve=resolve)
        assert plain["a"] == [1, 2]
        assert plain["b"]["_args_"] == [1, 2]
        assert plain["c"] == [[1], {"k": [2]}]
        assert plain["d"] == ([1, 2] if resolve else "${a}")


def test_merge_knows_a_target_by_its_name_too(recwarn):
    base = Node(f=L(Fraction)(numerator=1, denominator=2))
    for calls in ("keep", "replace"):
        merged = merge(base, {"f": {"_target_": "fractions.Fraction", "numerator": 3}}, calls=calls)
        assert merged.f.denominator == 2
    assert not recwarn


def test_merge_takes_a_call_whole_on_request():
    base = Node(f=L.partial(Fraction)(numerator=1), g=L(max)(1, 2))
    other = Node(f=L(dict)(a=1), g=L(dict)(a=1))
    merged = merge(base, other, calls="replace")
    assert merged == Node(f=L(dict)(a=1), g=L(dict)(a=1))
    assert list(merged.f) == ["_target_", "a"]
    assert merge(Node(f={"b": 2}), other, calls="replace").f == L(dict)(a=1)
    with pytest.warns(UserWarning, match="f becomes a call of dict and keeps b=2"):
        merge(Node(f={"b": 2}), Node(f=L(dict)(a=1)))
    with pytest.warns(UserWarning, match=r"g becomes .* and keeps _args_"):
        merge(Node(g=L(max)(1, 2)), Node(g=L(dict)(a=1)))
    with pytest.raises(ValueError, match="not 'all'"):
        merge(base, other, calls="all")
