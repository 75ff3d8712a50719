"""select(): many places at once."""

import tracemalloc

import pytest

from lazycfg import LazyCall as L
from lazycfg import instantiate
from lazycfg.config.editing.selecting import SelectError, select
from lazycfg.config.tree.node import Node, to_nodes
from lazycfg.config.tree.position import writes_of


class Norm:
    def __init__(self, *, eps: float = 1e-5):
        self.eps = eps


class BatchNorm(Norm):
    pass


class Conv:
    def __init__(self, *, width: int, norm=None, bias: bool = True):
        self.width, self.norm, self.bias = width, norm, bias


def config():
    shared = L(BatchNorm)(eps=1)
    return to_nodes(
        {
            "model": {
                "stem": L(Conv)(width=1, norm=shared),
                "stages": [L(Conv)(width=2, norm=shared), (L(Conv)(width=3, norm=L(Norm)()), 5)],
            },
            "lr": 0.1,
        }
    )


def test_by_class():
    cfg = config()
    assert select(cfg, Conv).paths == ["model.stem", "model.stages.0", "model.stages.1.0"]
    assert select(cfg, Norm).paths == ["model.stem.norm", "model.stages.1.0.norm"]
    assert select(cfg, Norm, subclasses=False).paths == ["model.stages.1.0.norm"]
    assert len(select(cfg)) == 5
    assert [path for path, node in select(cfg, Conv, where=lambda n: n.width > 1)] == [
        "model.stages.0",
        "model.stages.1.0",
    ]


def test_by_path():
    cfg = config()
    assert select(cfg, "model.**.width").values == [1, 2, 3]
    assert select(cfg, "**.norm").paths == ["model.stem.norm", "model.stages.0.norm", "model.stages.1.0.norm"]
    assert select(cfg, "model.stages.*.width").values == [2]
    assert select(cfg, "**.Conv.width").values == [1, 2, 3]


def test_targets_in_text_count():
    cfg = [L("collections.Counter")(a=1)]
    import collections

    assert select(cfg, collections.Counter).paths == ["0"]
    assert select(cfg, dict).paths == ["0"]


def test_nothing_is_an_error_with_a_suggestion():
    cfg = config()
    with pytest.raises(SelectError, match="did you mean 'width'"):
        select(cfg, "model.**.widht")
    with pytest.raises(SelectError, match="'Conv'"):
        select(cfg, dict)
    assert not select(cfg, dict, allow_empty=True)


def test_set():
    cfg = config()
    selection = select(cfg, Norm).set(eps=2)
    assert selection.get("eps") == [2, 2]
    assert cfg.model.stages[0].norm.eps == 2
    assert writes_of(cfg.model.stem.norm, "eps")[0].origin.file == __file__
    with pytest.raises(SelectError) as caught:
        select(cfg, Conv).set(bias=False, widht=1)
    assert str(caught.value).count("did you mean 'width'") == 3
    assert "bias" not in cfg.model.stem, "nothing was set"
    with pytest.raises(SelectError, match="expected int"):
        select(cfg, Conv).set(width="wide")


def test_replace_keeps_sharing():
    cfg = config()
    select(cfg, BatchNorm).replace(L(Norm)(eps=7))
    assert cfg.model.stem.norm is cfg.model.stages[0].norm
    assert cfg.model.stem.norm.eps == 7
    built = instantiate(cfg)
    assert type(built["model"]["stem"].norm) is Norm


def test_replace_inside_a_tuple_and_by_a_function():
    cfg = config()
    new = select(cfg, Conv).replace(lambda old: L(Conv)(width=old.width * 10))
    assert new.get("width") == [10, 20, 30]
    assert cfg.model.stages[1][0].width == 30
    assert cfg.model.stages[1][1] == 5
    assert type(cfg.model.stages[1]) is tuple


def test_replace_values():
    cfg = config()
    select(cfg, "**.norm").replace("BN")
    assert cfg.model.stem.norm == cfg.model.stages[1][0].norm == "BN"
    select(cfg, "**.width").replace(lambda w: w + 1)
    assert select(cfg, "**.width").values == [2, 3, 4]
    with pytest.raises(SelectError, match="whole config"):
        select(cfg, "").replace(1)


def test_a_selection_shows_itself():
    assert (
        repr(select(config(), Norm, subclasses=False)) == "1 selected:\n  model.stages.1.0.norm = L(Norm)()"
    )


def test_a_class_replaces_the_target():
    relu, silu = type("ReLU", (dict,), {}), type("SiLU", (dict,), {})

    def silu_init(self, inplace=False):
        pass

    silu.__init__ = silu_init
    node = L(relu)(inplace=True)
    cfg = Node(a=node, b=[node, L(relu)(inplace=False)])
    found = select(cfg, relu).replace(silu)
    assert found.paths == ["a", "b.1"]
    assert cfg.a is cfg.b[0]
    assert [n["_target_"] for n in (cfg.a, cfg.b[1])] == [silu, silu]
    assert cfg.a.inplace is True
    assert writes_of(cfg.a)[-1].key == "_target_"
    with pytest.raises(SelectError, match="not a node yet"):
        select(cfg, silu).replace(L(silu))
    bad = Node(a=L(relu)(wrong=1))
    with pytest.raises(SelectError, match=r"SiLU the target:\n  a: SiLU takes no argument 'wrong'"):
        select(bad, relu).replace(silu)
    assert bad.a["_target_"] is relu
    with pytest.raises(SelectError, match="is not a call"):
        select(Node(n=1), "n").replace(silu)


def test_dicts_become_nodes_as_in_an_assignment():
    cfg = Node(n=3, steps=["${n}"], a=L(dict)(x=1), b=L(dict)(x=2))
    select(cfg, dict).set(z={"k": 1}, steps=cfg.steps)
    assert cfg.a.z.k == cfg.b.z.k == 1
    assert cfg.a.z is not cfg.b.z
    assert type(cfg.a.steps) is list
    select(cfg, "n").replace({"k": 2})
    assert cfg.n.k == 2


def test_the_paths_of_a_deep_tree_are_not_put_together():
    """Of 10,000 nested calls they have 50 million keys."""
    node = L(dict)(x=None)
    for _ in range(10_000):
        node = L(dict)(x=node)
    cfg = Node(a=node)
    tracemalloc.start()
    found = select(cfg, dict).set(y=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 10_001
    assert peak < 40_000_000
    assert dict.get(found.values[-1], "y") == 1
