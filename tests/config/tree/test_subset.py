"""`subset`: parts of a config as a config of their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazycfg import LazyCall as L
from lazycfg import Node, check, instantiate, origin, subset
from lazycfg.config.building.problems import CheckError
from lazycfg.config.errors import PathError
from lazycfg.config.tree.node import to_nodes


class Part:
    built = 0

    def __init__(self, size=1, inner=None):
        Part.built += 1
        self.size = size
        self.inner = inner


@pytest.fixture
def cfg():
    shared = L(Part)(size="${sizes.small}")
    return to_nodes(
        {
            "sizes": {"small": 3, "big": 9},
            "data": {"train": L(Part)(size="${...sizes.big}"), "test": L(Part)(inner=shared)},
            "model": L(Part)(inner=shared),
            "broken": L(Part)(sice=1),
        }
    )


def test_only_the_parts_are_built_and_what_they_share_is_built_once(cfg):
    Part.built = 0
    built = instantiate(subset(cfg, ["model", "data.test"]))
    assert Part.built == 3
    assert built["model"].inner is built["data"]["test"].inner
    assert built["model"].inner.size == 3
    assert list(built) == ["model", "data"]


def test_what_leads_out_of_a_part_means_what_it_means_in_the_whole(cfg):
    assert instantiate(subset(cfg, ["data.train"]))["data"]["train"].size == 9
    assert instantiate(subset(cfg, [("sizes", "big")])) == {"sizes": {"big": 9}}


def test_the_config_is_not_changed_and_the_parts_are_its_own(cfg):
    before = cfg.copy()
    part = subset(cfg, ["data.train"])
    assert cfg == before
    assert part.data.train is cfg.data.train


def test_paths_in_messages_are_those_of_the_whole(cfg):
    with pytest.raises(CheckError, match=r"broken\.sice") as caught:
        check(subset(cfg, ["model", "broken"]))
    assert [p.path for p in caught.value.problems] == [("broken", "sice")]
    assert check(subset(cfg, ["model"])) == []
    built = instantiate(subset(cfg, ["data.test"]))
    assert origin(built["data"]["test"].inner).path == "data.test.inner"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("modle", "did you mean 'model'"),
        ("data.tset", "did you mean 'test'"),
        ("data.train.size.x", "no 'x'"),
    ],
)
def test_a_path_that_leads_nowhere(cfg, path, message):
    with pytest.raises(PathError, match=message):
        subset(cfg, [path])


def test_a_path_into_a_list(cfg):
    cfg.many = [L(Part)(), L(Part)()]
    with pytest.raises(PathError, match="'many' is no dict"):
        subset(cfg, ["many.0"])


def test_a_part_of_a_part(cfg):
    for paths in (["data", "data.test"], ["data.test", "data"]):
        assert set(instantiate(subset(cfg, paths))["data"]) == {"train", "test"}
    assert subset(cfg, ["model", ""]) is cfg


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1))
def test_any_choice_gives_what_the_whole_gives(keys):
    shared = L(dict)(x=1)
    whole = Node(a=shared, b=[shared], c="${a}", d=L(dict)(y="${c.x}"))
    built, parts = instantiate(whole), instantiate(subset(whole, keys))
    assert parts == {key: built[key] for key in keys}
