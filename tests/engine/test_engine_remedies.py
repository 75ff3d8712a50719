"""A remedy is said as it is typed: an override after a command, a statement in Python."""

import pickle

import pytest

from lazycfg import LazyConfig
from lazycfg.engine import PreflightError, Problem
from lazycfg.engine.remedies import at_source, in_python


@pytest.mark.parametrize(
    ("remedy", "statements"),
    [
        ("train.max_iter=1000", "cfg.train.max_iter = 1000"),
        ("train.amp.enabled=true", "cfg.train.amp.enabled = True"),
        ("train.output_dir=FOLDER", 'cfg.train.output_dir = "FOLDER"'),
        ("train.best_metric=", 'cfg.train.best_metric = ""'),
        ("a.b=null c.d=null", "cfg.a.b = None; cfg.c.d = None"),
        ("~train.hooks.0", "del cfg.train.hooks[0]"),
        ("+train.font=x.ttf", 'cfg.train.font = "x.ttf"'),
        ("'train.init_ignore=[\"a.*\", \"b\"]'", "cfg.train.init_ignore = ['a.*', 'b']"),
        ("'a.dataset=&dataloader.test.dataset'", "cfg.a.dataset = cfg.dataloader.test.dataset"),
        ("anew: 'train.init_ignore=[\"a\"]'", "anew: cfg.train.init_ignore = ['a']"),
        ("m.n=3 (or train.extra=true, if meant)", "cfg.m.n = 3 (or cfg.train.extra = True, if meant)"),
        ("pip install 'lazycfg[tensorboard]', or train.tensorboard=false",
         "pip install 'lazycfg[tensorboard]', or cfg.train.tensorboard = False"),
        ("train.font=null for a font", "cfg.train.font = None for a font"),
        ("'dataloader.evaluator.kpt_oks_sigmas=[0.05, ...]', 5 numbers",
         "cfg.dataloader.evaluator.kpt_oks_sigmas = [0.05, ...], 5 numbers"),
        ("say --resume, or delete it", "say --resume, or delete it"),
        ("", ""),
    ],
)  # fmt: skip
def test_overrides_as_statements(remedy, statements):
    assert in_python(remedy) == statements


def test_the_statements_do_what_the_overrides_do():
    text = "train: {max_iter: 1, hooks: [1, 2], amp: {enabled: false}, sizes: [1]}"
    remedies = "train.max_iter=7 ~train.hooks.0 train.amp.enabled=true 'train.sizes=[3, 4]'"
    typed = LazyConfig.apply_overrides(
        _loaded(text),
        ["train.max_iter=7", "~train.hooks.0", "train.amp.enabled=true", "train.sizes=[3, 4]"],
    )
    cfg = _loaded(text)
    exec(in_python(remedies), {"cfg": cfg})
    assert cfg == typed


def _loaded(text):
    import yaml

    from lazycfg.config.tree.node import to_nodes

    return to_nodes(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("remedy", "typed"),
    [
        ("loader.dataset.on_error=skip", "data.on_error=skip"),
        ("loader.other.on_error=skip", "loader.other.on_error=skip"),
        ("loader.twice.on_error=skip", "data.on_error=skip"),
        ("loader.near.on_error=skip", "loader.on_error=skip"),
        ("loader.dataset.image_root=FOLDER", "loader.dataset.image_root=FOLDER"),
        ("evaluator.dataset.image_root=FOLDER or x.y=1", "loader.dataset.image_root=FOLDER or x.y=1"),
        ("evaluator.dataset.on_error=skip", "data.on_error=skip"),
        ("'loader.dataset.keys=[\"a\"]'", "'data.keys=[\"a\"]'"),
        ("+loader.dataset.on_error=skip", "data.on_error=skip"),
        ("loader.built.on_error=skip", "loader.built.on_error=skip"),
        ("loader.circle.a=1", "loader.circle.a=1"),
        ("~loader.dataset.on_error", "~loader.dataset.on_error"),
        ("say --resume", "say --resume"),
    ],
)  # fmt: skip
def test_the_key_that_a_value_comes_from_is_named(remedy, typed):
    cfg = _loaded(
        """
        data: {on_error: raise, keys: []}
        loader:
          on_error: raise
          dataset: {on_error: "${data.on_error}", keys: "${data.keys}"}
          other: {on_error: raise}
          twice: {on_error: "${loader.dataset.on_error}"}
          near: {on_error: "${..on_error}"}
          built: {on_error: "${oc.env:X}"}
          circle: {a: "${.b}", b: "${.a}"}
        evaluator: {dataset: "${loader.dataset}"}
        """
    )
    assert at_source(cfg, remedy) == typed


def test_an_error_is_told_in_python_and_on_the_command_line():
    problems = [Problem("train.max_iter", "too few", "train.max_iter=10"), Problem("", "no data")]
    error = pickle.loads(pickle.dumps(PreflightError(problems)))
    assert "\n    remedy: cfg.train.max_iter = 10\n" in str(error)
    assert "\n    remedy: train.max_iter=10\n" in error.on_command_line()
    one = PreflightError(problems[:1])
    assert str(one) == "train.max_iter: too few\n  remedy: cfg.train.max_iter = 10"
    assert one.on_command_line() == "train.max_iter: too few\n  remedy: train.max_iter=10"
