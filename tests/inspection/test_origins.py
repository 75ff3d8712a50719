"""origin(): from a built object to its node; seeds and profiles of building."""

import gc
import random

import pytest

from lazycfg import LazyCall as L
from lazycfg import instantiate
from lazycfg.config import CycleError
from lazycfg.config.building.profiling import Profile, seed_for
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.origins import explain_errors, origin


class Part:
    def __init__(self, *, inner=None, name="part"):
        self.inner = inner
        self.name = name

    def run(self, x):
        if self.name == "broken":
            raise ValueError("bad shape")
        return self.inner.run(x) if self.inner is not None else x


def test_from_an_object_to_its_node():
    cfg = to_nodes({"model": L(Part)(inner=L(Part)(name="x")), "other": [L(Part)()]})
    built = instantiate(cfg)
    found = origin(built["model"].inner)
    assert found.node is cfg.model.inner
    assert found.path == "model.inner"
    assert found.position.file == __file__
    assert origin(built["other"][0]).path == "other.0"
    assert "config path 'model.inner'" in str(found)
    assert origin(Part()) is None
    assert origin(3) is None


def test_the_path_of_a_part_built_alone_is_that_of_the_whole():
    cfg = to_nodes({"model": L(Part)(inner=L(Part)())})
    assert origin(instantiate(cfg.model).inner).path == "model.inner"


def test_an_attribute_node_does_not_claim_the_object():
    cfg = to_nodes({"model": L(Part)(inner=L(Part)())})
    cfg.same = L.attr(cfg.model, "inner")
    built = instantiate(cfg)
    assert built["same"] is built["model"].inner
    assert origin(built["same"]).path == "model.inner"


def test_nothing_is_kept_alive():
    from weakref import ref

    built = instantiate(L(Part)(inner=L(Part)()))
    inner = ref(built.inner)
    del built
    gc.collect()
    assert inner() is None


def test_errors_name_the_innermost_built_object():
    cfg = to_nodes({"model": L(Part)(inner=L(Part)(inner=L(Part)(name="broken")))})
    model = instantiate(cfg.model)
    with pytest.raises(ValueError, match="bad shape") as caught, explain_errors(model):
        model.run(1)
    (note,) = caught.value.__notes__
    assert "config path 'model.inner.inner'" in note
    assert f"\n  raised at {__file__}:" in note
    assert note.endswith(f"in {Part.run.__qualname__}")
    with explain_errors():
        pass


def test_shape_errors_of_a_torch_model_name_the_config_path():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    cfg = to_nodes({"model": L(nn.Sequential)(L(nn.Linear)(2, 3), L(nn.Sequential)(L(nn.Linear)(4, 1)))})
    model = instantiate(cfg.model)
    with pytest.raises(RuntimeError) as caught, explain_errors(model):
        model(torch.zeros(5, 2))
    note = caught.value.__notes__[-1]
    assert "config path 'model._args_.1._args_.0'" in note
    assert "torch.nn.modules.linear.Linear" in note
    assert "shape (5, 3)" in note


def test_errors_in_submodules_without_a_node():
    torch = pytest.importorskip("torch")

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Sequential(torch.nn.Linear(2, 2))

        def forward(self, x):
            return self.head(x)

    model = instantiate(L(Whole)())
    with pytest.raises(RuntimeError) as caught, explain_errors(model):
        model(torch.zeros(1, 3))
    assert "Linear at .head.0 of config path '(the root)'" in caught.value.__notes__[-1]


def draw():
    return random.random()


def noisy(*, inner=None):
    return random.random(), inner


def test_seeds_come_from_the_config_path():
    one = instantiate(L(dict)(a=L(draw)(), b=L(noisy)(inner=L(draw)())), seed=1)
    more = instantiate(L(dict)(first=L(draw)(), a=L(draw)(), b=L(noisy)(inner=L(draw)())), seed=1)
    assert one["a"] == more["a"]
    assert one["b"] == more["b"]
    assert one["a"] != one["b"][0]
    assert instantiate(L(dict)(a=L(draw)()), seed=2)["a"] != one["a"]
    cfg = to_nodes({"model": L(noisy)(inner=L(draw)())})
    assert instantiate(cfg, seed=3)["model"] == instantiate(cfg.model, seed=3)


def test_seeding_leaves_the_generators_as_they_were():
    torch = pytest.importorskip("torch")
    import numpy

    random.seed(0), numpy.random.seed(0), torch.manual_seed(0)
    expected = random.random(), numpy.random.rand(), torch.rand(1).item()
    random.seed(0), numpy.random.seed(0), torch.manual_seed(0)
    first = instantiate(L(torch.nn.Linear)(2, 2), seed=5)
    assert (random.random(), numpy.random.rand(), torch.rand(1).item()) == expected
    assert torch.equal(first.weight, instantiate(L(torch.nn.Linear)(2, 2), seed=5).weight)


def test_seeds_are_the_same_everywhere():
    assert seed_for(0, "model.backbone") == 17664832689818298473


def test_profile(capsys):
    cfg = to_nodes({"model": L(Part)(inner=L(Part)())})
    profile = Profile()
    built = instantiate(cfg, profile=profile)
    assert [row.path for row in profile.rows] == ["model.inner", "model"]
    assert all(row.seconds >= 0 for row in profile.rows)
    assert type(built["model"]) is Part
    assert "in 2 calls" in str(profile)
    assert capsys.readouterr().out == ""
    instantiate(cfg, profile=True)
    assert "model.inner" in capsys.readouterr().out


def test_a_node_over_its_own_result_is_refused():
    model = L(Part)()
    model.name = L.attr(model, "name")
    with pytest.raises(CycleError, match=r"'name\._args_\.0' leads back"):
        instantiate(model)
