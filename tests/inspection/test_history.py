"""explain(): who set a value."""

from inspect import currentframe

import pytest

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, Node
from lazycfg.config import PathError, merge
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.explain import explain


def resnet(*, depth=50, stem=None, norm="BN"):
    return depth, stem, norm


def here(offset=0):
    return currentframe().f_back.f_lineno + offset


def steps(cfg, path):
    return [(s.kind, s.path, s.value, getattr(s.origin, "line", None)) for s in explain(cfg, path).steps]


def test_written_set_and_overridden_in_order():
    cfg = to_nodes({"model": {"backbone": L(resnet)(depth=50)}})
    line = here(-1)
    cfg.model.backbone.depth = 101
    LazyConfig.apply_overrides(cfg, ["model.backbone.depth=18"])
    path = "model.backbone.depth"
    assert steps(cfg, path) == [
        ("written", path, "50", line),
        ("set", path, "101", line + 2),
        ("set", path, "18", None),
    ]
    explanation = explain(cfg, path)
    assert explanation.value == 18
    text = str(explanation)
    assert text.splitlines()[0] == "model.backbone.depth = 18"
    assert f"written at {__file__}:{line}:" in text
    assert "set by override 1 'model.backbone.depth=18'" in text


def test_a_write_above_explains_what_is_below():
    cfg = to_nodes({"model": L(resnet)(stem=L(resnet)(depth=1))})
    cfg.model.stem = L(resnet)(depth=2)
    line = here(-1)
    assert steps(cfg, "model.stem.depth") == [
        ("set", "model.stem", "L(resnet)(depth=2)", line),
        ("written", "model.stem.depth", "2", line),
    ]


def test_deleted_and_set_again():
    cfg = to_nodes({"model": L(resnet)(depth=1)})
    del cfg.model.depth
    cfg.model.depth = 3
    assert [s[0] for s in steps(cfg, "model.depth")] == ["written", "deleted", "set"]


def test_the_default_of_the_target():
    cfg = to_nodes({"model": L(resnet)()})
    explanation = explain(cfg, "model.norm")
    assert explanation.value == "BN"
    (step,) = explanation.steps
    assert step.kind == "default"
    assert step.origin.line == resnet.__code__.co_firstlineno
    assert "'BN' in resnet" in str(step)


def test_an_interpolation_is_followed():
    cfg = to_nodes(
        {"model": L(resnet)(depth="${train.depth}", norm="${.stem}", stem="s"), "train": {"depth": 5}}
    )
    cfg.train.depth = 6
    found = steps(cfg, "model.depth")
    assert [s[0] for s in found] == ["written", "interpolation", "set"]
    assert found[-1][1] == "train.depth"
    assert explain(cfg, "model.depth").value == 6
    assert [s[1] for s in steps(cfg, "model.norm")] == ["model.norm", "model.norm", "model.stem"]


def test_across_files(tmp_path):
    (tmp_path / "base.py").write_text(
        "from collections import Counter\n"
        "from lazycfg import LazyCall as L\n"
        "model = L(Counter)(\n    depth=50,\n)\n"
    )
    (tmp_path / "mid.py").write_text("from .base import model\nmodel.depth = 101\n")
    (tmp_path / "top.py").write_text("from .mid import model\n\n\nmodel.depth = 152\n")
    cfg = LazyConfig.load(str(tmp_path / "top.py"))
    LazyConfig.apply_overrides(cfg, ["model.depth=18"])
    places = [str(step.origin) for step in explain(cfg, "model.depth").steps]
    assert places == [
        f"{tmp_path / 'base.py'}:4:5",
        f"{tmp_path / 'mid.py'}:2:1",
        f"{tmp_path / 'top.py'}:4:1",
        "override 1 'model.depth=18'",
    ]


def test_a_node_and_the_root():
    cfg = to_nodes({"model": [L(resnet)()]})
    line = here(-1)
    assert steps(cfg, "model.0") == [("written", "model.0", "L(resnet)()", line)]
    assert str(explain(cfg, "model")).endswith("it is not known where it was written")
    assert explain(cfg, "").value is cfg


def test_a_path_that_leads_nowhere():
    cfg = to_nodes({"model": L(resnet)()})
    with pytest.raises(PathError, match="did you mean 'model'"):
        explain(cfg, "modle.depth")
    with pytest.raises(PathError):
        explain(cfg, "model.nothing")


def test_plain_values_and_dicts_of_files(tmp_path):
    (tmp_path / "base.py").write_text(
        "steps = 10\n"
        "train = dict(\n    lr=0.1, sizes=[1, {'low': 2}])\n"
        'train["lr"] = 0.2\n'
        'train["sizes"][1]["low"] = 3\n'
    )
    (tmp_path / "top.py").write_text("from .base import steps as n, train\ntrain.lr = 0.3\nn += 1\n")
    cfg = LazyConfig.load(str(tmp_path / "top.py"))
    base, top = tmp_path / "base.py", tmp_path / "top.py"

    def found(path):
        return [(s.kind, s.value, str(s.origin)) for s in explain(cfg, path).steps]

    assert found("train.lr") == [
        ("written", "0.1", f"{base}:3:5"),
        ("set", "0.2", f"{base}:4:15"),
        ("set", "0.3", f"{top}:2:1"),
    ]
    assert found("train.sizes.1.low") == [("written", "2", f"{base}:3:24"), ("set", "3", f"{base}:5:28")]
    assert found("n") == [("written", "10", f"{base}:1:9"), ("set", "n += 1", f"{top}:3:1")]


def test_arguments_given_by_position(tmp_path):
    (tmp_path / "c.py").write_text(
        "from lazycfg import LazyCall as L\n"
        "from collections import Counter\nfrom fractions import Fraction\n"
        "half = L(Fraction)(1, 2)\n"
        "several = L(Counter)([half, half])\n"
    )
    cfg = LazyConfig.load(str(tmp_path / "c.py"))
    assert [(s.value, str(s.origin)) for s in explain(cfg, "half.denominator").steps] == [
        ("2", f"{tmp_path / 'c.py'}:4:23")
    ]
    (step,) = explain(cfg, "several.0.1.numerator").steps
    assert str(step.origin) == f"{tmp_path / 'c.py'}:4:20"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "c.yaml",
            'b: 1\na:\n  x: 2\n  l: [é, "???", {k: 3}]\n  m:\n    - 4\n    - 5\n  t: !tuple [6, 7]\n',
        ),
        (
            "c.json",
            '{"b": 1,\n "a":\n  {"x": 2,\n "l": ["é", "???", {"k": 3}],\n "m": [\n4,\n5],\n'
            ' "t": {"!tuple": [6, 7]}}}',
        ),
    ],
)
def test_keys_and_elements_of_data_files(tmp_path, name, text):
    file = tmp_path / name
    file.write_bytes(text.encode("utf-8-sig"))  # the mark at the beginning is no column
    lines = text.splitlines()
    # of each path the text of its first step, which begins at the key or is the element
    cases = {"b": "1", "a.x": "2", "a.l.1": '"???"', "a.l.2.k": "3", "a.m.0": "4", "a.m.1": "5", "a.t.1": "7"}
    for path, written in cases.items():
        for overrides in ([], [f"{path}=9"]):
            cfg = LazyConfig.load(str(file))
            LazyConfig.apply_overrides(cfg, overrides)
            first, *others = explain(cfg, path).steps
            assert (first.kind, first.value) == ("written", written)
            assert [step.value for step in others] == ["9"] * len(overrides)
            line = lines[first.origin.line - 1][first.origin.column - 1 :]
            key = path.rpartition(".")[2]
            named = f'"{key}":' if name.endswith("json") else f"{key}:"
            assert line.startswith(written if key.isdigit() else named)


def test_what_may_have_run_and_what_must_have(tmp_path):
    (tmp_path / "c.py").write_text(
        "DEBUG, key = False, 'n'\n"
        "train = dict(lr=1, n=2, up=1)\n"
        "if DEBUG:\n    train['lr'] = 5\n"
        "train['n'] = 3\n"
        "train[key] = 30\n"
        "train.update(up=[2])\n"
        "try:\n    x = int('a')\nexcept ValueError:\n    x = 4\n"
        "match x:\n    case 4:\n        y = 1\n"
        "for z in [8]:\n    last = 8\n"
        "(a, (b, c)), d = (1, (2, [3])), (e := 4)\n"
        "sizes = [1, 2]\nsizes[0] = 3\n"
    )
    cfg = LazyConfig.load(str(tmp_path / "c.py"))

    def found(path):
        return [
            (s.kind, s.value, s.certain, getattr(s.origin, "line", None)) for s in explain(cfg, path).steps
        ]

    assert found("train.lr") == [("written", "1", True, 2), ("set", "5", False, 4)]
    assert "train.lr = 5  perhaps set at " in str(explain(cfg, "train.lr"))
    assert found("train.n") == [
        ("written", "2", True, 2),
        ("set", "3", True, 5),
        ("changed", "30", True, None),
    ]
    assert str(explain(cfg, "train.n")).endswith("train.n = 30  changed later, at a place that is not known")
    assert found("train.up") == [("written", "1", True, 2), ("changed", "[2]", True, None)]
    assert found("x") == [("written", "int('a')", False, 9), ("set", "4", False, 11)]
    assert found("y") == [("written", "1", False, 14)]
    assert found("last") == [("written", "8", False, 16)]
    assert found("b") == [("written", "2", True, 17)]
    assert found("c.0") == [("written", "3", True, 17)]
    assert found("e") == [("written", "4", True, 17)]
    assert found("d") == [("written", "(e := 4)", True, 17)]
    assert found("sizes") == [("written", "[1, 2]", True, 18)]
    cfg.train.n = 31
    assert [s[0] for s in found("train.n")] == ["written", "set", "set"]


def test_a_write_to_a_list_comes_after_what_it_held():
    cfg = to_nodes({"model": L(resnet)(stem=[1, [2, 3]])})
    cfg.model.stem = [4]
    assert steps(cfg, "model.stem.0") == [
        ("written", "model.stem.0", "1", here(-3)),
        ("set", "model.stem", "[4]", here(-3)),
    ]


@pytest.mark.parametrize(
    "text", ["t = dict(lr=1)\n", "from lazycfg import LazyCall as L\nt = L(dict)(lr=1)\n"]
)
def test_a_file_that_was_edited_later_tells_no_false_history(tmp_path, text):
    (tmp_path / "base.py").write_text(text)
    (tmp_path / "k.py").write_text("from .base import t\nu = dict(x=2)\n")
    cfg = LazyConfig.load(tmp_path / "k.py")
    before = str(explain(cfg, "t.lr"))
    assert "base.py:" in before
    (tmp_path / "base.py").write_text(text.replace("lr=1", "lr=77"))
    after = str(explain(cfg, "t.lr"))
    assert "77" not in after
    assert "changed later" not in after
    assert "t.lr = 1  written" in after
    assert "base.py" in after
    (tmp_path / "k.py").write_text("u = dict(x=3)\n")
    assert "u.x = 2  written at " in str(explain(cfg, "u.x"))
    assert "k.py (edited after it was loaded)" in str(explain(cfg, "u.x"))
    (tmp_path / "k.py").unlink()
    assert "u.x = 2" in str(explain(cfg, "u.x"))


def test_a_yaml_file_that_was_edited_later_tells_no_false_history(tmp_path):
    pytest.importorskip("yaml")
    file = tmp_path / "k.yaml"
    file.write_text("t:\n  lr: 1\n")
    cfg = LazyConfig.load(file)
    file.write_text("t:\n  lr: 77\n")
    said = str(explain(cfg, "t.lr"))
    assert "77" not in said
    assert "changed later" not in said


def test_an_interpolation_without_a_value_keeps_its_history():
    cfg = Node(a="${no.such}")
    cfg.a = "${oc.env:LAZYCFG_NO_SUCH_VARIABLE}"
    told = str(explain(cfg, "a"))
    assert "a = '${oc.env:LAZYCFG_NO_SUCH_VARIABLE}'  set at" in told
    assert "a cannot be resolved: " in told


@pytest.mark.parametrize(
    ("name", "text"), [("o.py", "\nlr = 2\nt = dict(a=3)\n"), ("o.yaml", "\nlr: 2\nt: {a: 3}\n")]
)
def test_what_was_merged_in_was_written_in_its_own_file(tmp_path, name, text):
    (tmp_path / "base.py").write_text("lr = 1\nt = dict(a=1, b=1)\n")
    (tmp_path / name).write_text(text)
    merged = merge(LazyConfig.load(tmp_path / "base.py"), LazyConfig.load(tmp_path / name))
    for path, line in (("lr", 2), ("t.a", 3)):
        told = str(explain(merged, path))
        assert f"written at {tmp_path}/base.py:{line - 1}:" in told
        assert f"set at {tmp_path}/{name}:{line}:" in told
    assert "merging.py" not in str(explain(merge({"a": 1}, {"a": 2}), "a"))


def test_what_was_changed_inside_a_call_is_its_history_too():
    inner = L(resnet)(depth=1)
    cfg = L(dict)(head=L(resnet)(depth=2), first=inner, again=inner)
    line = here()
    cfg.head._target_ = dict
    cfg.first.depth = 2
    LazyConfig.apply_overrides(cfg, ["head.depth=5"])
    changed = [step for step in steps(cfg, "") if step[0] == "set"]
    assert [(path, at) for _, path, _, at in changed] == [
        ("head._target_", line + 1),
        ("first.depth", line + 2),
        ("head.depth", None),
    ]
    assert [path for kind, path, _, _ in steps(cfg, "head") if kind == "set"] == [
        "head._target_",
        "head.depth",
    ]


def test_one_of_many_positional_arguments_is_no_named_one():
    def pile(first, *others, last=0):
        return first, others, last

    cfg = Node(pile=L(pile)(1, 2, 3))
    cfg.pile.last = 4
    assert steps(cfg, "pile.last") == [("set", "pile.last", "4", here(-1))]
