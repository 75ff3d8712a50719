"""OmegaConf in config files: its containers are nodes, its functions answer for nodes or say what to do."""

import warnings

import pytest

from lazycfg.config.building.build import instantiate
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.loading.load import load
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.without_importing.files import deferred_import

omegaconf = pytest.importorskip("omegaconf")

HEAD = "from omegaconf import OmegaConf, DictConfig, ListConfig\nfrom lazycfg import LazyCall as L, Node\n"


def config(tmp_path, text, head=HEAD):
    (tmp_path / "c.py").write_text(head + text)
    return LazyConfig.load(tmp_path / "c.py")


@pytest.mark.parametrize(
    "line", ["OmegaConf.create()", "OmegaConf.create({})", "DictConfig({})", "DictConfig()"]
)
def test_containers_take_calls(tmp_path, line):
    cfg = config(tmp_path, f"dataloader = {line}\ndataloader.train = L(dict)(a=1)\n")
    assert cfg == Node(dataloader=Node(train=L(dict)(a=1)))
    assert instantiate(cfg) == {"dataloader": {"train": {"a": 1}}}
    assert load(tmp_path / "c.py", import_absolute=deferred_import) == cfg


@pytest.mark.parametrize(
    "head",
    [
        "from omegaconf.omegaconf import OmegaConf\nfrom omegaconf.dictconfig import DictConfig\n",
        "import omegaconf as o\nOmegaConf = o.OmegaConf\nfrom omegaconf.errors import ConfigKeyError\n",
    ],
)
def test_ways_to_import(tmp_path, head):
    cfg = config(tmp_path, "x = OmegaConf.create()\nx.f = len\n", head)
    assert list(cfg) == ["x"]
    assert cfg.x.f is len


def test_create_converts_and_copies(tmp_path):
    cfg = config(
        tmp_path,
        "given = {'a': [{'b': 1}], 't': (1, 2)}\nmade = OmegaConf.create(given)\nmade.a[0].b = 2\n"
        "items = OmegaConf.create([1, {'c': 3}])\nmore = ListConfig([4])\n"
        "text = OmegaConf.create('a: {b: 1}')\n"
        "text.a.f = L(dict)()\nkept = DictConfig(content=dict(f=L(dict)()), flags={'allow_objects': True})\n",
    )
    assert cfg.given.a[0].b == 1
    assert cfg.made == Node({"a": [Node(b=2)], "t": (1, 2)})
    assert cfg["items"] == [1, Node(c=3)]
    assert cfg.more == [4]
    assert cfg.text == Node(a=Node(b=1, f=L(dict)()))
    assert cfg.kept == Node(f=L(dict)())
    with pytest.raises(TypeError, match="a node has no flags: leave out 'readonly'"):
        config(tmp_path, "x = OmegaConf.create({}, flags={'readonly': True})\n")


def test_functions_answer_for_nodes(tmp_path):
    cfg = config(
        tmp_path,
        "n = Node(a=Node(b=1, s='${.b}'), l=[Node(c='${n.a.b}')], miss='???', f=L(dict)(x=1))\n"
        "out = dict(select=OmegaConf.select(n, 'a.b'), none=OmegaConf.select(n, 'a.z.y'),\n"
        "  default=OmegaConf.select(n, 'miss', default=7), config=OmegaConf.is_config(n),\n"
        "  dicts=(OmegaConf.is_dict(n), isinstance(n, DictConfig), isinstance([], ListConfig)),\n"
        "  missing=OmegaConf.is_missing(n, 'miss'), inter=OmegaConf.is_interpolation(n.a, 's'))\n"
        "OmegaConf.update(n, 'new.deep', {'q': 1})\nOmegaConf.update(n, 'a', {'b': 5})\n"
        "plain = [type(OmegaConf.to_container(n)).__name__, type(OmegaConf.to_container(n)['a']).__name__]\n"
        "solved = OmegaConf.to_container(n.a, resolve=True)\n"
        "merged = OmegaConf.merge(n.a, {'z': {'y': 1}}, OmegaConf.create({'b': 9}))\n"
        "text = OmegaConf.to_yaml(n.a).splitlines()[0]\nreal = OmegaConf.get_type(1)\n",
    )
    assert cfg.out == Node(
        select=1, none=None, default=7, config=True, dicts=(True, True, True), missing=True, inter=True
    )
    assert cfg.n.new.deep.q == 1
    assert cfg.n.a.b == cfg.n.a.s == 5
    assert cfg.plain == ["dict", "dict"]
    assert cfg.solved == {"b": 5, "s": 5}
    assert cfg.merged == Node(b=9, s="${.b}", z=Node(y=1))
    assert cfg.text == "b: 5"


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        ("set_struct(n, True)", "any key can be set"),
        ("set_readonly(n, True)", "freeze"),
        ("to_object(n)", "instantiate"),
        ("save(n, 'x')", "LazyConfig.save"),
    ],
)
def test_other_functions_refuse_nodes_and_say_what_to_write(tmp_path, call, instead):
    with pytest.raises(TypeError, match=instead):
        config(tmp_path, f"n = Node()\nOmegaConf.{call}\n")


def test_merge_says_which_arguments_stay_with_another_target():
    from lazycfg.config import merge

    base = Node(net=L(dict)(in_channels=16, width=1), lr=1)
    other = Node(net=L(list)(width=2))
    with pytest.warns(UserWarning, match=r"net becomes .* list and keeps in_channels=16.*calls='replace'"):
        kept = merge(base, other)
    assert dict(kept.net) == {"_target_": list, "in_channels": 16, "width": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert merge(base, other, calls="replace").net == L(list)(width=2)
        assert merge(base, Node(net=L(dict)(width=3))).net == L(dict)(in_channels=16, width=3)
        assert merge(base, {"net": {"width": 3}}, {"lr": 2}).lr == 2
    assert base == Node(net=L(dict)(in_channels=16, width=1), lr=1)
    assert other == Node(net=L(list)(width=2))


def test_omegaconf_itself_says_what_to_write_for_a_node():
    node = Node(a=Node(b=1))
    for use in (
        lambda: omegaconf.OmegaConf.select(node, "a.b"),
        lambda: omegaconf.OmegaConf.set_struct(node, True),
    ):
        with pytest.raises(AttributeError, match=r"take no nodes.*get_path\(cfg, 'a.b'\)"):
            use()


def test_an_update_that_keeps_arguments_of_another_call_says_so():
    cfg = Node(net=L(dict)(in_channels=16, width=1))
    expected = r"net becomes a call of list and keeps in_channels=16.*merge\(cfg, new, calls='replace'\)"
    with pytest.warns(UserWarning, match=expected) as caught:
        cfg.net.update(L(list)(width=2))
    assert caught[0].filename == __file__
    assert cfg.net == L(list)(in_channels=16, width=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cfg.net.update(L(list)(width=3), in_channels=4)
        cfg.net.update(width=5)
        cfg.net.update(_target_=dict)
