"""Recording calls."""

import functools

import pytest

from lazycfg import LazyCall as L
from lazycfg import LazyPartial, Node, attr, instantiate, method, ref


def function(a, b=2, *rest, c=3):
    return a, b, rest, c


class Model:
    def __init__(self, *, width=4):
        self.width = width

    def parameters(self, scale=1):
        return [self.width * scale]


def test_positional_arguments_get_their_names():
    node = L(function)(1, c=5)
    assert node == {"_target_": function, "a": 1, "c": 5}
    node.a = 10
    assert instantiate(node) == (10, 2, (), 5)


def test_star_args_are_kept():
    node = L(function)(1, 2, 3, 4, c=5)
    assert node.a == 1
    assert node.b == 2
    assert node["_args_"] == (3, 4)
    assert instantiate(node) == (1, 2, (3, 4), 5)
    node.b = 20
    assert instantiate(node) == (1, 20, (3, 4), 5)


def test_star_args_with_a_default_before_them():
    node = L(function)(1, 2, 3)
    del node.b
    assert instantiate(node) == (1, 2, (3,), 3)


def test_positional_only():
    def only(a, /, b, *, c=0):
        return a, b, c

    assert instantiate(L(only)(1, 2, c=3)) == (1, 2, 3)
    assert L(only)(1, 2).b == 2


def test_builtins_without_a_signature():
    assert instantiate(L(max)(1, L(min)(5, 9))) == 5
    assert instantiate(L(getattr)(L(Model)(width=7), "width")) == 7
    assert instantiate(L(dict)(a=1)) == {"a": 1}


def test_wrong_positional_arguments_fail_at_once():
    with pytest.raises(TypeError, match="takes 0 positional arguments but 1 were given"):
        L(Model)(3)
    with pytest.raises(TypeError, match="multiple values for argument 'a'"):
        L(function)(1, a=2)


def test_targets_in_text():
    assert instantiate(L("collections.Counter")("aab"))["a"] == 2
    assert instantiate(L("fractions.Fraction")(numerator=1, denominator=2)).denominator == 2


def test_target_that_is_a_node():
    make = L(functools.partial)(function, 1)
    assert instantiate(L(make)(b=5)) == (1, 5, (), 3)


@pytest.mark.parametrize("target", [3, None, "nodots", "a..b", "os.system('x')"])
def test_what_is_no_target(target):
    with pytest.raises(TypeError, match="target"):
        L(target)


def test_partial():
    for node in (LazyPartial(function)(c=9), L.partial(function)(c=9)):
        built = instantiate(node)
        assert isinstance(built, functools.partial)
        assert built(1) == (1, 2, (), 9)
    built = instantiate(LazyPartial(function)(L(Model)(width=1), c=9))
    assert built().__getitem__(0).width == 1


def test_ref_is_the_text_of_an_interpolation():
    cfg = Node(width=3, model=L(Model)(width=ref("..width")))
    assert dict.__getitem__(cfg.model, "width") == "${..width}"
    assert instantiate(cfg.model).width == 3
    for wrong in ("", "${width}", "a}", 5, None):
        with pytest.raises(ValueError, match="without braces"):
            ref(wrong)


def test_attribute_and_method_of_what_another_node_builds():
    calls = []

    class Counted(Model):
        def __init__(self, **kwargs):
            calls.append(1)
            super().__init__(**kwargs)

    model = L(Counted)(width=3)
    node = L(dict)(
        model=model,
        width=attr(model, "width"),
        same=L.attr(model, "width"),
        params=L.method(model, "parameters")(scale=2),
        again=method(model, "parameters")(),
    )
    built = instantiate(node)
    assert built["width"] == built["same"] == 3
    assert built["params"] == [6]
    assert built["again"] == [3]
    assert len(calls) == 1


def test_the_call_gives_a_node():
    assert type(L(Model)(width=1)) is Node
    assert type(LazyPartial(Model)()) is Node
