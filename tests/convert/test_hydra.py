"""Hydra's trees as config files of ours: values and objects are those that hydra gives."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import REQUIRED, LazyConfig, instantiate
from lazycfg.config import to_dict
from lazycfg.config.tree.node import raw_get
from lazycfg.convert import ConvertError, convert

hydra = pytest.importorskip("hydra")
OmegaConf = pytest.importorskip("omegaconf").OmegaConf

FILES = {
    "config.yaml": """
defaults:
  - db: mysql
  - optim@training.optimizer: sgd
  - _self_

lr: 0.1
seed: ???
model:
  _target_: collections.OrderedDict
  width: 8
  head:
    _target_: fractions.Fraction
    _args_: [3, "${model.width}"]
  sizes: [1, "${..width}"]
act:
  _target_: functools.reduce
  _partial_: true
nested:
  cls:
    _target_: hydra.utils.get_class
    path: fractions.Fraction
home: ${oc.env:LAZYFILES_HOME,nowhere}
db:
  port: 3307
""",
    "db/mysql.yaml": "_target_: builtins.dict\nname: mysql\nport: 3306\nrate: ${lr}\n",
    "db/postgres.yaml": "_target_: builtins.dict\nname: postgres\nport: 5432\nrate: ${lr}\ntimeout: 3\n",
    "optim/sgd.yaml": "_target_: builtins.dict\nlr: ${lr}\n",
}


@pytest.fixture
def folder(tmp_path):
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def write(converted, folder, name="out.py"):
    for place, text in {**converted.files, name: converted.text}.items():
        (folder / place).parent.mkdir(exist_ok=True, parents=True)
        (folder / place).write_text(text)
    return folder / name


def theirs(folder, overrides=(), name="config"):
    with hydra.initialize_config_dir(str(folder), version_base=None):
        return hydra.compose(name, list(overrides))


@pytest.mark.parametrize("overrides", [(), ("lr=0.5", "db=postgres"), ("model.width=3", "+db.extra=[1,2]")])
def test_values_and_objects_are_hydras(folder, tmp_path_factory, overrides):
    new = write(convert(folder / "config.yaml", [*overrides, "seed=1"]), tmp_path_factory.mktemp("new"))
    cfg, wanted = LazyConfig.load(new), theirs(folder, [*overrides, "seed=1"])
    for key in ("lr", "seed", "home", "training"):
        assert to_dict(cfg)[key] == OmegaConf.to_container(wanted, resolve=True)[key], key
    for key in ("model", "db", "nested"):
        assert instantiate(cfg[key]) == hydra.utils.instantiate(wanted[key], _convert_="all"), key
    assert instantiate(cfg.act)(lambda a, b: a + b, [1, 2]) == 3
    assert raw_get(raw_get(cfg.model, "head"), "denominator") == "${model.width}"
    assert raw_get(cfg, "home") == "${oc.env:LAZYFILES_HOME,nowhere}"


def test_a_group_is_imported_and_another_option_takes_its_place(folder, tmp_path_factory):
    converted = convert(folder / "config.yaml")
    assert sorted(converted.files) == ["db/mysql.py", "db/postgres.py"]
    assert "from .db.mysql import db" in converted.text
    assert "db.port = 3307" in converted.text
    assert "mysql" not in converted.text.replace("db.mysql", "").replace("db/mysql", "")
    assert "another choice of db: db=file:db/postgres.py#db" in converted.remarks
    new = write(converted, tmp_path_factory.mktemp("new"))
    cfg = LazyConfig.load(new)
    assert raw_get(cfg, "seed") is REQUIRED
    assert dict(cfg.db.args()) == {"name": "mysql", "port": 3307, "rate": 0.1}
    LazyConfig.apply_overrides(cfg, [f"db=file:{new.parent}/db/postgres.py#db", "lr=0.5"])
    assert instantiate(cfg.db) == {"name": "postgres", "port": 5432, "rate": 0.5, "timeout": 3}


def test_what_is_hydras_own_is_refused_with_its_path_and_what_to_do(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "a:\n  out: ${now:%Y}/x\nb: ${hydra:runtime.cwd}\nc:\n  _target_: builtins.dict\n  _convert_: none\n"
    )
    with pytest.raises(ConvertError) as info:
        convert(tmp_path / "c.yaml")
    lines = str(info.value).splitlines()
    assert lines[0].startswith("a.out = '${now:%Y}/x'")
    assert "a.out=..." in lines[0]
    assert lines[1].startswith("b = ")
    assert lines[2].startswith("c._convert_ = 'none'")
    text = convert(tmp_path / "c.yaml", ["a.out=x", "b=.", "c._convert_=all"]).text
    assert "now" not in text


def test_recursive_and_names_that_cannot_be_imported(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "a:\n  _target_: builtins.dict\n  _recursive_: false\n  b:\n    _target_: no_such.Thing\n    x: [1]\n"
    )
    converted = convert(tmp_path / "c.yaml")
    cfg = LazyConfig.load(write(converted, tmp_path))
    assert instantiate(cfg.a)["b"] is cfg.a.b
    assert raw_get(cfg.a.b, "_target_") == "no_such.Thing"
    assert any("no_such.Thing" in remark and "kept as text" in remark for remark in converted.remarks)
    assert any(remark.startswith("a.b.x: hydra hands over") for remark in converted.remarks)


def test_an_object_that_several_places_name_is_said_to_be_one(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "model: {_target_: builtins.dict, width: 3}\nwidth: ${model.width}\nempty: {}\nother: ${empty}\n"
        "pair: {_target_: builtins.dict, student: '${model}', teachers: ['${..student}']}\n"
    )
    converted = convert(tmp_path / "c.yaml")
    (remark,) = [r for r in converted.remarks if "built once" in r]
    assert remark.startswith(
        "pair.student = ${model}, pair.teachers.0 = ${..student}: an object is built once"
    )
    pair = instantiate(LazyConfig.load(write(converted, tmp_path)).pair)
    assert pair["student"] is pair["teachers"][0]


def test_what_hydra_cannot_compose(folder):
    with pytest.raises(ConvertError, match=r"hydra cannot compose config: .*oracle"):
        convert(folder / "config.yaml", ["db=oracle"])


def test_without_hydra_a_single_file_is_read_and_a_tree_is_not(folder, tmp_path, monkeypatch):
    (tmp_path / "c.yaml").write_text("a: {_target_: builtins.dict, b: '${c}'}\nc: 1\n")
    monkeypatch.setitem(sys.modules, "hydra", None)
    cfg = LazyConfig.load(write(convert(tmp_path / "c.yaml"), tmp_path))
    assert instantiate(cfg.a) == {"b": 1}
    for path, words in ((folder / "config.yaml", []), (tmp_path / "c.yaml", ["c=2"])):
        with pytest.raises(ConvertError, match="pip install hydra-core"):
            convert(path, words)


@pytest.mark.parametrize("package", ["fiddle", "mmengine.config"])
def test_packages_that_are_not_installed_are_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "c.json").write_text('{"type": "a.b"}')
    name = package.partition(".")[0]
    source = Path("a:b") if name == "fiddle" else tmp_path / "c.json"
    with pytest.raises(ConvertError, match=f"need {name} itself: pip install"):
        convert(source, format=name)


names = st.sampled_from(["a", "b", "c"])
leaves = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.sampled_from(["x", "1", "${v}", "n_${v}"]),
    st.floats(0, 1),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(names, inner, max_size=2),
        st.dictionaries(names, inner, max_size=2).map(lambda d: {"_target_": "builtins.dict", **d}),
        st.lists(inner, max_size=2).map(lambda v: {"_target_": "builtins.list", "_args_": [v]}),
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(tree=st.dictionaries(names, trees, min_size=1))
def test_any_tree_builds_what_hydra_builds(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("t")
    config = OmegaConf.create({"v": 7, "root": {"_target_": "builtins.dict", **tree}})
    (folder / "c.yaml").write_text(OmegaConf.to_yaml(config))
    cfg = LazyConfig.load(write(convert(folder / "c.yaml"), folder))
    wanted = theirs(folder, name="c")
    assert instantiate(cfg.root) == hydra.utils.instantiate(wanted.root, _convert_="all")
    assert cfg.v == wanted.v


def test_the_command_recognises_it(folder, tmp_path_factory, capsys):
    from lazycfg.cli import main

    out = tmp_path_factory.mktemp("new") / "out.py"
    assert main(["convert", str(folder / "config.yaml"), "seed=3", "-o", str(out)]) == 0
    assert LazyConfig.load(out).seed == 3
    assert Path(out.parent, "db/postgres.py").exists()
    assert "db=file:db/postgres.py#db" in capsys.readouterr().err
