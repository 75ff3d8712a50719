"""Damaged config files, and other processes."""

import builtins
import json
import multiprocessing
import os
import sys
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycfg import ConfigError, LazyConfig, Node, check, instantiate
from lazycfg import LazyCall as L
from lazycfg.config.formats.document import SaveError

PYTHON = """\
from lazycfg import LazyCall as L
from fractions import Fraction

size = 3
model = L(Fraction)(numerator=size, denominator="${train.steps}")
train = dict(steps=[1, (2, 3)], name="a\\tb", model=model)
"""
YAML = """\
model: &m
  _target_: datetime.timedelta
  days: 1
  hours: ${train.steps.0}
train:
  steps: [1, [2, 3]]
  name: "a b"
  model: *m
"""
JSON = json.dumps(
    {
        "model": {"_target_": "datetime.timedelta", "days": 1, "hours": "${train.steps.0}"},
        "train": {"steps": [1, [2, 3]], "name": "a b", "more": None},
    }
)


@st.composite
def damaged(draw, text):
    """`text` with some characters taken out, put in, or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 8))
        new = st.text("[]{}():,.'\"$&*_ \n\t=1ax", max_size=3)
        piece = draw(st.sampled_from(["", text[start:end] * 2]) | new)
        text = text[:start] + piece + text[end:]
    return text


def world():
    """What loading a file must leave as it is; modules of Python and our own may be imported on first use."""
    filters = [str(entry) for entry in warnings.filters]
    known = {*sys.stdlib_module_names, "lazycfg"}
    modules = {name for name in sys.modules if name.partition(".")[0] not in known}
    return dict(vars(builtins)), modules, os.getcwd(), list(sys.path), filters


@pytest.mark.parametrize(("suffix", "text"), [("py", PYTHON), ("yaml", YAML), ("json", JSON)])
def test_a_damaged_file_loads_or_ends_in_an_error_that_names_it(suffix, text, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / f"damaged_config.{suffix}"
    path.write_text(text)
    assert len(LazyConfig.load(path, allow=[timedelta])) >= 2

    @settings(max_examples=50, deadline=None)
    @given(damaged(text))
    def load(content):
        path.write_text(content)
        before = world()
        found = wrong = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python warns of odd code
                found = LazyConfig.load(path, allow=[timedelta])
        except Exception as error:
            wrong = error
        assert world() == before
        if wrong is not None:
            assert suffix == "py" or isinstance(wrong, ConfigError), repr(wrong)
            assert path.name in "".join(traceback.format_exception(wrong))
        else:
            assert all(str(problem) for problem in check(found, raises=False))

    load()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_build_the_same(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    shared = L(Fraction)(3, 7)
    tree = Node(a=[shared, L(Fraction)(numerator="${size}")], b=(shared,), size=5)
    # Not a Pool, which waits for ever for a process that died
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        built = pool.submit(instantiate, tree).result()
        assert pool.submit(check, tree).result() == []
    assert (
        built == instantiate(tree) == {"a": [Fraction(3, 7), Fraction(5)], "b": (Fraction(3, 7),), "size": 5}
    )
    assert built["a"][0] is built["b"][0]


@pytest.mark.parametrize("suffix", ["py", "yaml", "json"])
def test_a_shared_node_that_a_file_would_put_elsewhere_first_is_not_saved(suffix, tmp_path):
    cfg = Node(b=Node(w=5))
    cfg.a = Node(v=1, n=L(dict)(x="${..v}"))
    cfg.b.n = cfg.a.n
    assert instantiate(cfg)["b"]["n"] == {"x": 1}
    with pytest.raises(SaveError, match=r"'b.n.x': .* leads somewhere from a.n, .* but not from here"):
        LazyConfig.save(cfg, tmp_path / f"c.{suffix}")
    assert not list(tmp_path.iterdir())
    cfg.b.n = cfg.a.n.copy()
    cfg.b.n.x = "${a.v}"
    cfg.c = Node(n=cfg.a.n)  # after the first place, where it means what it means there
    LazyConfig.save(cfg, tmp_path / f"c.{suffix}")
    loaded = LazyConfig.load(tmp_path / f"c.{suffix}", trusted=True)
    assert instantiate(loaded) == instantiate(cfg)
    assert loaded.c.n is loaded.a.n
