"""Mistakes on the command line: one clear line, no traceback, exit status 2."""

import pytest

from lazycfg.cli.main import main
from lazycfg.cli.parser import command_names

ZOO = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py"
FILES = {
    "needs.py": "import no_such_library_here\n",
    "syntax.py": "x = (1\n",
    "zero.py": "def f():\n    return 1 / 0\nx = f()\n",
    "yaml.yaml": "a: 1\nb: [1\n",
    "json.json": '{"a": ',
    "relative.py": "\nfrom .gone import x\n",
    "name.py": "from lazycfg.modeling import FPNN\n",
    "good.py": "a = dict(b=1, c=2.5)\n",
}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        try:
            status = main(list(words))
        except SystemExit as leaving:
            status = leaving.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "missing COMMAND"),
        ("shwo x", "unknown command 'shwo'; did you mean 'show'?"),
        ("frobnicate", "unknown command 'frobnicate'; available: show, "),
        ("show", "lazycfg show: missing CONFIG"),
        ("graph good.py", "missing -o/--output"),
        ("report a_run another_run", "unexpected 'another_run'"),
        ("show good.py --dpeth 3", "unknown option '--dpeth'; did you mean '--depth'?"),
        ("show good.py --dpeth 3", "lazycfg show: unknown option '--dpeth'"),
        ("show good.py --dpeth 3", "(see lazycfg show --help)"),
        (
            "train good.py --max_iter 20",
            "'--max_iter'; it is a setting of the config: train.max_iter=20 (see",
        ),
        ("train good.py --max-iter=20", "it is a setting of the config: train.max_iter=20 (see lazycfg tr"),
        ("train good.py --seed", "it is a setting of the config: train.seed=..."),
        (
            "train good.py --optimizer.lr=0.1",
            "'--optimizer.lr=0.1'; an override has no dashes before it: optimizer.lr=0.1 (see",
        ),
        ("check good.py --optimizer.lr 0.1", "it: optimizer.lr=0.1 (see lazycfg check --help)"),
        ("doc optimizer.lr", "'optimizer.lr' is no config: write lazycfg doc CONFIG optimizer.lr (only"),
        ("show good.py --depth x", "argument --depth: invalid int value: 'x'"),
        ("show good.py --format xml", "unknown --format 'xml'; available: tree, py, yaml, json"),
        ("completion fish", "unknown shell 'fish'; available: bash, zsh"),
        (
            "show goood.py",
            "no config file 'goood.py', also not in the model zoo; did you mean 'good.py'",
        ),
        ("show mask_rcnn_R_50_FPN_1.py", f"did you mean '{ZOO}'?"),
        ("show .", "but a folder"),
        ("--verzion", "unknown option '--verzion'; did you mean '--version'?"),
        ("-x", "unknown option '-x'; available: '--help', "),
        ("show good.py aa", "config path 'aa': the config has no 'aa'; did you mean 'a'?"),
        ("get good.py", "one config path is expected after the config, none was given"),
        ("get good.py a b", "2 were given: a b"),
        ("diff good.py", "diff takes two configs, or one config and overrides"),
        ("drift good.py x", "drift takes one file"),
        ("grep [ good.py", "'[' is not a valid regular expression"),
        ("check good.py x", "no config file 'x'"),
        ("save good.py", "save takes the file to write"),
        ("save good.py x.txt", "unknown config format of 'x.txt'"),
        ("sweep good.py --file zero.py", "ZeroDivisionError: division by zero ("),
        (f"doc {ZOO} model.backbone.nrm", "FPN takes no argument 'nrm'; did you mean 'norm'?"),
        ("show yaml.yaml", "yaml.yaml:3:1: not valid YAML: "),
        ("show json.json", "json.json: not valid JSON: "),
        ("show needs.py", "No module named 'no_such_library_here' ("),
        ("show syntax.py", "syntax.py:1: '(' was never closed: x = (1"),
        ("show zero.py", "zero.py:2; --traceback shows the way there)"),
        ("show relative.py", "relative.py:2; --traceback"),
        ("show name.py", "cannot import name 'FPNN'"),
        ("show good.py a.bb=3", "did you mean 'b'?"),
        ("show good.py a.b=text", "'a.b' is the int 1, and 'text' is text"),
        ("show good.py a..b=1", "an empty key"),
    ],
)
def test_one_clear_line(run, words, message):
    status, text, errors = run(*words.split())
    assert status == 2
    assert text == ""
    assert message in errors
    assert errors.startswith("lazycfg")
    assert "Traceback" not in errors
    assert not any(line and not line.startswith(" ") for line in errors.splitlines()[1:])


def test_all_wrong_overrides_are_told_at_once(run):
    status, _, errors = run("show", ZOO, "model.rio_heads=1", "train.max_itr=5", "model.backbone.norm=BN")
    assert status == 2
    assert "2 of 3 overrides are wrong, so none was applied" in errors
    assert "did you mean 'roi_heads'?" in errors
    assert "did you mean 'max_iter'?" in errors


def test_the_traceback_is_there_when_asked_for(run):
    for words in (("--traceback", "show", "zero.py"), ("show", "zero.py", "--traceback")):
        with pytest.raises(ZeroDivisionError):
            run(*words)


def test_a_path_may_end_as_completion_leaves_it(run):
    assert run("show", "good.py", "a.")[1] == run("show", "good.py", "a")[1] != ""


def test_the_help_lists_every_command_once(run):
    lines = run("--help")[1].splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line[2] not in " -"]
    assert sorted(listed) == command_names()
    assert listed[:2] == ["data", "visualize"]
