"""Overrides that put a whole part in place: a new call, or what another config file has."""

import enum
import functools
from pathlib import Path

import pytest

from lazycfg.config.building.build import instantiate
from lazycfg.config.editing.grammar import CallRef, FileRef, GrammarError, ImportRef, parse_value
from lazycfg.config.editing.overrides import OverrideError
from lazycfg.config.editing.overrides import apply_overrides as apply
from lazycfg.config.loading.load import load
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.trust import Policy
from lazycfg.inspection.explain import explain
from lazycfg.inspection.override_text import format_value


class Old:
    def __init__(self, *, width: int = 1, norm: str = ""):
        self.width, self.norm = width, norm


class New:
    def __init__(self, *, depth: int, inner=None):
        self.depth, self.inner = depth, inner


ME = __name__
apply_overrides = functools.partial(apply, load_file=load)


def test_a_call_and_its_text():
    text = "@pkg.Cls(x=1, y=[a, {b:2}], z=@pkg.other(q=&m.n))"
    value = parse_value(text)
    assert type(value) is CallRef
    assert value.target == ImportRef("pkg.Cls")
    assert value.arguments["x"] == 1
    assert parse_value(format_value(value)) == value
    assert parse_value("@pkg.Cls()") == CallRef(ImportRef("pkg.Cls"), {})


@pytest.mark.parametrize(
    "text",
    [
        "@pkg.Cls(1)",
        "@pkg.Cls(x=1",
        "@pkg.Cls(x=1, x=2)",
        "@pkg.Cls(x=1)y",
        "@(x=1)",
        "@pkg.Cls(_target_=b.C)",
    ],
)
def test_a_call_that_is_not_well_formed(text):
    with pytest.raises(GrammarError):
        parse_value(text)


def test_a_call_takes_the_place_of_the_old_one_with_its_arguments_only():
    cfg = Node(m=L(Old)(width=3, norm="BN"), other=L(Old)(width=5))
    apply_overrides(cfg, [f"m=@{ME}.New(depth=2, inner=&other)"])
    assert cfg.m == L(New)(depth=2, inner=cfg.other)
    assert cfg.m.inner is cfg.other
    built = instantiate(cfg)
    assert type(built["m"]) is New
    assert built["m"].inner is built["other"]
    assert f"override 1 'm=@{ME}.New(depth=2, inner=&other)'" in str(explain(cfg, "m"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("New(dpeth=2)", "New takes no argument 'dpeth'; did you mean 'depth'"),
        ("New(depth=x)", "expected int, got"),
    ],
)
def test_the_arguments_of_a_new_call_are_checked(value, message):
    cfg = Node(m=L(Old)(width=3))
    with pytest.raises(OverrideError, match=message.replace("(", r"\(")):
        apply_overrides(cfg, [f"m=@{ME}.{value}"])
    assert cfg.m == L(Old)(width=3)


class Kind(enum.Enum):
    A = 1
    B = 2


class Typed:
    def __init__(self, *, kind: Kind = Kind.A, file: Path = Path("x"), name: str = "", steps: int = 1):
        self.kind = kind


def test_the_arguments_of_a_new_call_mean_what_their_annotations_say():
    cfg = Node(m=None)
    apply_overrides(cfg, [f"m=@{ME}.Typed(kind=B, file=a/b, name=123, steps=1e3)"])
    assert cfg.m == L(Typed)(kind=Kind.B, file=Path("a/b"), name="123", steps=1000)
    with pytest.raises(OverrideError, match="'C' is not a member of Kind"):
        apply_overrides(cfg, [f"m=@{ME}.Typed(kind=C)"])


def test_the_history_of_a_new_call_is_that_of_the_override(tmp_path):
    (tmp_path / "c.py").write_text("from lazycfg import LazyCall as L\nm = L(dict)(depth=1)\n")
    cfg = load(tmp_path / "c.py")
    apply_overrides(cfg, [f"m=@{ME}.New(depth=2)"])
    told = str(explain(cfg, "m.depth"))
    assert "c.py" not in told
    assert "m.depth = 2  written by override 1" in told


def test_a_new_call_is_judged_by_a_policy():
    cfg = Node(m=L(Old)(width=3))
    for value in ("@os.system(command=ls)", f"@{ME}.New(depth=1, inner=@os.getcwd())"):
        with pytest.raises(OverrideError):
            apply_overrides(cfg, [f"m={value}"], policy=Policy([ME]))
    with pytest.raises(OverrideError, match="resolver"):
        apply_overrides(cfg, [f"m=@{ME}.New(depth='${{oc.env:HOME}}')"], policy=Policy([ME]))
    apply_overrides(cfg, [f"m=@{ME}.New(depth=1)"], policy=Policy([ME]))
    assert cfg.m.depth == 1


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "big.py").write_text(
        "from lazycfg import LazyCall as L\nfrom torch import nn\n"
        "net = L(nn.Linear)(in_features='${dim}', out_features=2)\n"
        "more = dict(deep=net)\n"
    )
    (tmp_path / "nets" / "big.yaml").write_text(
        "net:\n  _target_: torch.nn.Linear\n  in_features: 7\n  out_features: 2\n"
    )
    monkeypatch.chdir(tmp_path)


def test_a_part_of_another_file(nets):
    assert parse_value("file:nets/big.py#more.deep") == FileRef("nets/big.py", "more.deep")
    assert format_value(FileRef("nets/big.py", "")) == "file:nets/big.py"
    cfg = Node(dim=5, model=Node(net=None))
    apply_overrides(cfg, ["model.net=file:nets/big.py#net", "model.net.out_features=3"])
    assert cfg.model.net.in_features == 5
    assert instantiate(cfg)["model"]["net"].weight.shape == (3, 5)
    apply_overrides(cfg, ["model.net=file:nets/big.yaml#net"])
    assert cfg.model.net.in_features == 7
    apply_overrides(cfg, ["+extra=file:nets/big.py"])
    assert cfg.extra.more.deep is cfg.extra.net


def test_a_part_of_another_file_inside_a_value(nets):
    part = FileRef("nets/big.py", "net")
    assert parse_value("[file:nets/big.py#net, 2]") == [part, 2]
    cfg = Node(dim=5, nets=[], m=None)
    apply_overrides(
        cfg, ["nets+=[file:nets/big.py#net]", f"m=@{ME}.New(depth=1, inner=file:nets/big.py#net)"]
    )
    assert cfg.nets[0].in_features == cfg.m.inner.in_features == 5
    assert parse_value("['file:nets/big.py#net']") == ["file:nets/big.py#net"]


def test_a_file_without_a_suffix_is_refused():
    for text in ("file:nets/big#net", "[1, file:nets/big#net]"):
        with pytest.raises(GrammarError, match="a config file has a suffix, as in file:nets"):
            parse_value(text)
    for text in ("file:nets/big", "file:///tmp/init#1"):
        assert parse_value(text) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("file:nets/bog.py#net", "no config file .*bog.py; did you mean 'big.py'"),
        ("file:nets/big.py#nett", "did you mean 'net'"),
    ],
)
def test_a_part_that_is_not_there(nets, value, message):
    with pytest.raises(OverrideError, match=message):
        apply_overrides(Node(net=None), [f"net={value}"])


def test_other_text_with_file_is_text():
    for text in ("file:///data/x.py", "file:weights.pth", "file:x"):
        assert parse_value(text) == text


def test_code_is_not_run_for_an_override_that_is_not_trusted(nets):
    cfg = Node(net=None)
    with pytest.raises(OverrideError, match="is code, which is not run"):
        apply_overrides(cfg, ["net=file:nets/big.py#net"], policy=Policy(None))
    apply_overrides(cfg, ["net=file:nets/big.yaml#net"], policy=Policy(None))
    assert cfg.net.in_features == 7


def test_a_section_that_is_not_there_says_how_it_is_made():
    cfg = Node(train=Node(amp=Node(enabled=False)), model=L(Old)(width=1))
    with pytest.raises(OverrideError, match=r"\(a new key is added by \+train\.wandb\.name=\.\.\.\)"):
        apply(cfg, ["train.wandb.name=x"])
    assert apply(cfg, ["+train.wandb.name=x"]).train.wandb.name == "x"
    for text in ("train.ampp.enabled=True", "model.head.width=3", "~train.log.name"):
        with pytest.raises(OverrideError) as info:
            apply(cfg, [text])
        assert "a new key" not in str(info.value)
