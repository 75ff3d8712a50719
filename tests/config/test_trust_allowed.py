# ruff: noqa: E501
"""What data files may name: what the calling code lists, and what looking at a file does."""

import functools
import importlib
import json
import operator
import os
import subprocess
import sys

import pytest
from module_to_trust import WORK

from lazycfg.cli.main import main
from lazycfg.config.building.build import instantiate
from lazycfg.config.formats.document import DataFileError
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.lazy_call import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.config.trust import TRUST_ALL, Policy, UntrustedError


@pytest.fixture(autouse=True)
def work_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "trusted_work", WORK)


# ------------------------------------------------------------------------------- what is allowed


def test_what_the_calling_code_lists(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "a: {_target_: !name trusted_work.Layer, f: !name trusted_work.alias}\n"
        "b: {_target_: trusted_work.build}\n"
        "c: {_target_: {_target_: !name builtins.getattr, _args_: "
        "[{_target_: trusted_work.Layer}, method]}}\n"
        "d: {_target_: trusted_work.Layer.Inner}\n"
    )
    with pytest.raises(UntrustedError) as caught:
        LazyConfig.load(file)
    assert len(caught.value.refused) >= 4
    assert all(str(file) in text for text in caught.value.refused)
    assert f"{file}:1" in str(caught.value)
    for allow in (("trusted_work",), (WORK,)):
        with pytest.raises(UntrustedError, match=r"is no class.*trusted_work\.build") as caught:
            LazyConfig.load(file, allow=allow)
        assert len(caught.value.refused) == 3
        allow = (*allow, "trusted_work.build", "trusted_work.Layer.method")
        built = instantiate(LazyConfig.load(file, allow=allow))
        assert type(built["a"]) is WORK.Layer
        assert built["a"].kwargs["f"] is WORK.build
        assert built["c"] == 1
    assert LazyConfig.load(file, trusted=True).a["_target_"] is WORK.Layer


def test_the_default_policy(tmp_path):
    torch = pytest.importorskip("torch")
    file = tmp_path / "x.yaml"
    file.write_text(
        "m: &m {_target_: !name torch.nn.Linear, in_features: 2, out_features: 3}\n"
        "o: {_target_: torch.optim.SGD, lr: 0.1, params: "
        "{_target_: {_target_: !name builtins.getattr, _args_: "
        "[*m, parameters]}}}\nd: {_target_: collections.OrderedDict}\n"
    )
    built = instantiate(LazyConfig.load(file))
    assert type(built["m"]) is torch.nn.Linear
    assert built["o"].param_groups[0]["params"][0] is built["m"].weight


@pytest.mark.parametrize(
    "name", ["BBoxIOUTracker", "VanillaHungarianBBoxIOUTracker", "IOUWeightedHungarianBBoxIOUTracker"]
)
def test_a_tracker_of_ours_may_stand_in_a_saved_config(tmp_path, name):
    pytest.importorskip("torch")
    tracker = getattr(importlib.import_module("lazycfg.tracking"), name)
    LazyConfig.save(Node(tracker=L(tracker)(video_height=4, video_width=6)), tmp_path / "c.yaml")
    loaded = LazyConfig.load(tmp_path / "c.yaml")
    assert type(instantiate(loaded.tracker)) is tracker


def test_exact_entries_allow_what_packages_do_not():
    policy = Policy(("functools.partial", os.getcwd, "trusted_work.system"))
    assert policy.resolve("functools.partial") is functools.partial
    assert policy.resolve("trusted_work.system") is os.system
    assert policy.resolve("posix.getcwd") is os.getcwd
    with pytest.raises(UntrustedError):
        Policy(("functools",)).resolve("functools.partial")
    with pytest.raises(UntrustedError):
        Policy(("operator",)).resolve("operator.methodcaller")
    assert TRUST_ALL.resolve("operator.methodcaller") is operator.methodcaller


def test_resolvers_can_be_allowed(tmp_path, monkeypatch):
    pytest.importorskip("omegaconf")
    monkeypatch.setenv("TRUST_TEST", "7")
    file = tmp_path / "x.yaml"
    file.write_text("a: ${oc.env:TRUST_TEST}\nb: ${a}\n")
    with pytest.raises(UntrustedError, match="resolver"):
        LazyConfig.load(file)
    assert LazyConfig.load(file, allow=("resolver:oc.env",)).b == "7"


def test_a_policy_cannot_be_changed():
    policy = Policy(("torch.nn",))
    with pytest.raises(AttributeError):
        policy.everything = True
    with pytest.raises(AttributeError):
        policy._packages = frozenset(("os",))


def test_nothing_outside_the_allowed_packages_is_imported(tmp_path):
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    (tmp_path / "x.yaml").write_text("x: {_target_: !name evil_module.f}\ny: {_target_: evil_module.g}\n")
    code = f"from lazycfg import LazyConfig\nLazyConfig.load({str(tmp_path / 'x.yaml')!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "UntrustedError" in result.stderr
    assert not (tmp_path / "marker").exists()


def test_who_wrote_a_file_makes_no_difference(tmp_path):
    cfg = Node(x=L(WORK.Layer)(a=1))
    LazyConfig.save(cfg, tmp_path / "x.yaml")
    with pytest.raises(UntrustedError):
        LazyConfig.load(tmp_path / "x.yaml")
    assert LazyConfig.load(tmp_path / "x.yaml", allow=("trusted_work",)) == cfg
    assert LazyConfig.load(tmp_path / "x.yaml", trusted=True) == cfg


def test_resolvers_that_look_only_at_the_config_are_free(tmp_path, monkeypatch):
    file = tmp_path / "x.yaml"
    file.write_text(
        'a: {b: 1, c: 2}\nd: "${oc.select:a.b,7}"\ne: "${oc.select:a.x,7}"\nf: "${oc.dict.keys:a}"\n'
        'g: "${oc.dict.values:a}"\nh: "${oc.env:DETECTRON2_DATASETS,datasets}/coco"\n'
    )
    monkeypatch.setenv("DETECTRON2_DATASETS", "/data")
    cfg = LazyConfig.load(file)
    assert (cfg.d, cfg.e, list(cfg.f), list(cfg.g), cfg.h) == (1, 7, ["b", "c"], [1, 2], "/data/coco")


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "${oc.env:DETECTRON2_DATASETS${a}}", "${oc.env:'HOME'}",
    "${oc.env: HOME,x}", "${oc.select:a,${oc.env:HOME}}", "${oc.create:x}", "${oc.decode:x}"])  # fmt: skip
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_other_resolvers_are_refused_with_their_line(tmp_path, text, suffix):
    file = tmp_path / f"x.{suffix}"
    file.write_text(json.dumps({"a": 1, "m": {"one": 1, "deep": [[text]]}}, indent=1))
    with pytest.raises(UntrustedError, match=rf"x\.{suffix}:5: the resolver"):
        LazyConfig.load(file)


def test_one_variable_or_all_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_TEST", "7")
    file = tmp_path / "x.yaml"
    file.write_text("a: ${oc.env:TRUST_TEST}\n")
    for entry in ("resolver:oc.env:TRUST_TEST", "resolver:oc.env"):
        assert LazyConfig.load(file, allow=(entry,)).a == "7"
    with pytest.raises(UntrustedError, match=r"oc\.env:TRUST_TEST"):
        LazyConfig.load(file, allow=("resolver:oc.env:OTHER",))


# ------------------------------------------------------------------------------- looking at data files

TAGS = {
    "set": "x: !set [{C}]",
    "frozenset": "x: !frozenset [{C}]",
    "set of objects": "x: !set [!object {_class_: !name subprocess.Popen, args: [touch, '{M}']}]",
    "dict key": "x: !dict [[{C}, 1]]",
    "dict value": "x: !dict [[1, {C}]]",
    "path": "x: !path [{C}, x]",
    "path text": "x: !path {C}",
    "float": "x: !float {C}",
    "complex": "x: !complex [{C}, 1]",
    "bytes": "x: !bytes {C}",
    "tuple": "x: !tuple [{C}, {C}]",
    "partial": "x: {_target_: builtins.dict, _partial_: {C}}",
    "partial tag": "x: !partial [{C}, [1], {}]",
    "target": "x: {_target_: {C}}",
    "args": "x: {_target_: builtins.dict, _args_: {C}}",
    "argument": "x: {_target_: builtins.dict, a: {C}, b: {C}}",
    "member": "x: !member [{C}, a]",
    "attribute": "x: !attribute [{C}, a]",
    "plain": "x: {C}\ny: {C}",
    "wrapped": "x: !construct [{C}, [{C}], {a: {C}}]",
    "module": "x: {_target_: evil_module_of_this_test.f, a: 2}",
    "module by position": "x: {_target_: evil_module_of_this_test.f, _args_: [1]}",
    "module name": "x: {_target_: !name evil_module_of_this_test.f, a: 2}",
    "module names": "x: !set [!name evil_module_of_this_test.f, !name evil_module_of_this_test.g]",
}


@pytest.mark.parametrize("name", list(TAGS))
def test_looking_at_a_data_file_runs_nothing(name, tmp_path, marker, monkeypatch, capsys):
    from lazycfg.cli.main import main

    call = '!construct [!name os.system, ["touch {M}"], {}]'
    text = TAGS[name].replace("{C}", call).replace("{M}", str(marker))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = f"open({str(marker)!r}, 'w')\ndef deco(f): return f\n@deco\ndef f(a, *b): ...\ng = f\n"
    (tmp_path / "evil_module_of_this_test.py").write_text(source)
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(f"{text}\nz: 1\n")
    commands = """show a.yaml;show a.yaml --format yaml;show a.yaml --format py;show a.yaml x.a=3;get a.yaml x
        explain a.yaml x;explain a.yaml x.a;doc a.yaml x;doc a.yaml x.a;grep a a.yaml;graph a.yaml -o a.html
        diff a.yaml b.yaml;diff a.yaml x.a=3;sweep a.yaml x.a=1,2;drift a.yaml;check a.yaml;save a.yaml c.py
        """
    typed = ("lazycfg show a.yaml x", "lazycfg get a.yaml x.a=")
    for words in (
        *(command.split() for line in commands.strip().splitlines() for command in line.split(";")),
        *(["--complete", text] for text in typed),
    ):
        main(words)
        assert not marker.exists(), words
    assert "evil_module_of_this_test" not in sys.modules


def test_completion_types_nothing_that_a_shell_would_run(tmp_path, monkeypatch, capsys):
    from lazycfg.cli.main import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text('"$(touch x)": 1\n"`id`": 1\n"a;b": 1\n"line\\nbreak": 1\nplain: 1\n')
    (tmp_path / "$(touch x).yaml").write_text("a: 1\n")
    main(["--complete", "lazycfg show a.yaml "])
    main(["--complete", "lazycfg show ./"])
    shown = capsys.readouterr().out
    assert "plain" in shown
    assert "\\$\\(touch" in shown
    assert "break" not in shown
    assert not any(line.lstrip().startswith(("$", "`")) or "a;b" in line for line in shown.splitlines())


BOMBS = {
    "fraction": 'a: !construct [!name fractions.Fraction, ["1e10000000"], {}]',
    "tuples": "t0: &t0 !tuple [1]\n"
    + "".join(f"t{i}: &t{i} !tuple [*t{i - 1}, *t{i - 1}]\n" for i in range(1, 40))
    + "s: !set [*t39]",
    "lists": "t0: &t0 [1]\n"
    + "".join(f"t{i}: &t{i} [*t{i - 1}, *t{i - 1}]\n" for i in range(1, 40))
    + "s: !tuple [*t39]",
    "merges": "m: &m {"
    + ", ".join(f"k{i}: 1" for i in range(1500))
    + "}\nl:\n"
    + "".join("- {<<: *m}\n" for _ in range(1500)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_short_file_cannot_take_hours_or_all_memory(tmp_path, name):
    (tmp_path / "bomb.yaml").write_text(BOMBS[name])
    with pytest.raises(DataFileError, match=r"bomb\.yaml.*(exponent|unfolded|keys into)"):
        LazyConfig.load(tmp_path / "bomb.yaml")


@pytest.mark.parametrize("command", ["show", "grep", "diff", "explain"])
def test_control_characters_do_not_reach_the_terminal(tmp_path, capsys, command):
    """They could hide lines, or type at the prompt."""
    file = tmp_path / "c.yaml"
    file.write_text('a:\n  "k\\e[31mred": 1\nc: {_target_: "torch.nn.Lin\\e[31mear", x: 1}\n')
    words = {
        "show": [str(file)],
        "grep": ["red|ear", str(file)],
        "diff": [str(file), "a={}"],
        "explain": [str(file), "a.y"],
    }
    main([command, *words[command]])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "x1b[31m" in said.out + said.err


@pytest.mark.parametrize("words", ["graph x.yaml -o x.svg", "graph x.yaml -o x.html", "get x.yaml n", "explain x.yaml n",
    "get x.yaml m.a", "show x.yaml", "doc x.yaml m.a", "diff x.yaml n=1", "grep . x.yaml", "show x.yaml --format py"])  # fmt: skip
def test_looking_at_a_data_file_tells_no_secret(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "hunter2")
    (tmp_path / "x.yaml").write_text(
        'm: {_target_: builtins.dict, a: "${n}", b: "x${oc.env:SECRET}"}\nn: "${oc.env:SECRET}"\nl: ["${n}"]\n'
    )
    main(words.split())
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert all("hunter2" not in file.read_text() for file in tmp_path.iterdir())
    main(["get", "x.yaml", "n", "--allow", "resolver:oc.env:SECRET"])
    assert capsys.readouterr().out == "hunter2\n"


def test_no_picture_and_no_page_holds_what_the_environment_does(monkeypatch):
    from lazycfg.inspection.graph_drawing import to_html, to_svg

    monkeypatch.setenv("SECRET", "hunter2")
    cfg = Node(m=L(dict)(a="${n}", b="${oc.env:SECRET}"), n="${oc.env:SECRET}")
    assert cfg.n == "hunter2"
    for text in (to_svg(cfg), to_html(cfg), cfg._repr_html_()):
        assert "hunter2" not in text


def test_a_home_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    LazyConfig.save(Node(a=1), "~/x.yaml")
    assert LazyConfig.load("~/x.yaml") == Node(a=1)
    assert (tmp_path / "x.yaml").is_file()


def test_code_in_a_file_is_not_allowed_by_a_name(tmp_path, capsys):
    (tmp_path / "x.yaml").write_text('_source_: "def f(): pass"\n_config_: {n: 1}\n')
    assert main(["get", str(tmp_path / "x.yaml"), "n"]) == 2
    said = capsys.readouterr().err
    assert "add --trusted if you trust the file as code" in said
    assert "--allow" not in said
    assert main(["get", str(tmp_path / "x.yaml"), "n", "--trusted"]) == 0
