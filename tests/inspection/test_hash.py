"""hash_of(): what a config means."""

import subprocess
import sys
import time

import pytest

from lazycfg import REQUIRED, Node
from lazycfg import LazyCall as L
from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.node import to_nodes
from lazycfg.inspection.diff import diff
from lazycfg.inspection.hashing import hash_of

PROGRAM = """
from collections import Counter
from pathlib import Path
from lazycfg import LazyCall as L, LazyPartial
from lazycfg.inspection.hashing import hash_of
shared = L(Counter)(a=[1, 2.5, None], b=(True, "x"))
print(hash_of(L(dict)(x=shared, y={"k": shared}, z=LazyPartial("json.dumps")(indent=2), p=Path("a/b"), f=len,
                      s={"b", "a", "c"}, e=1e-5, n=float("nan"), by=b"x")))
"""


def test_equal_in_every_process():
    def run(seed):
        env = {"PYTHONHASHSEED": seed, "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=env, check=True
        )
        return done.stdout.strip()

    first, second = run("1"), run("2")
    assert first == second
    assert len(first) == 64


def cfg(**kwargs):
    return to_nodes(kwargs)


def test_what_does_not_count():
    import collections

    base = cfg(a=1, b=L(collections.Counter)(x=1, y=2))
    assert hash_of(base) == hash_of(base.copy())
    assert hash_of(base) == hash_of(cfg(b=L("collections.Counter")(y=2, x=1), a=1))
    edited = base.copy()
    edited.a = 5
    edited.a = 1
    assert hash_of(edited) == hash_of(base)
    assert hash_of(cfg(a=REQUIRED)) == hash_of(cfg(a="???"))


def test_what_counts():
    shared = L(dict)(a=1)
    different = [
        cfg(a=1),
        cfg(a=1.0),
        cfg(a=True),
        cfg(a="1"),
        cfg(b=1),
        cfg(a=[1]),
        cfg(a=(1,)),
        cfg(a={"x": 1}),
        cfg(a=L(dict)(x=1)),
        cfg(a=L.partial(dict)(x=1)),
        cfg(a=None),
        cfg(a="None"),
        cfg(a=REQUIRED),
        cfg(a="${b}"),
        cfg(a=shared, b=shared),
        cfg(a=shared, b=shared.copy()),
        cfg(a=len),
        cfg(a=len, b=len),
        cfg(a=lambda x: x),
        cfg(a=lambda x: x + 1),
        cfg(a=["a", "b"]),
        cfg(a=["ab"]),
        cfg(a=[], b=[]),
        cfg(a=-0.0),
        cfg(a=0.0),
        Node(),
    ]
    hashes = [hash_of(c) for c in different]
    assert len(set(hashes)) == len(hashes)


def test_ignore():
    one = cfg(train={"output_dir": "a", "lr": 1}, model=L(dict)(name="a", sub=[L(dict)(name="x")]))
    two = cfg(train={"output_dir": "b", "lr": 1}, model=L(dict)(name="b", sub=[L(dict)(name="y")]))
    assert hash_of(one) != hash_of(two)
    assert hash_of(one, ignore=["train.output_dir", "**.name"]) == hash_of(
        two, ignore=["train.output_dir", "**.name"]
    )
    assert hash_of(one, ignore=["train.output_dir"]) != hash_of(two, ignore=["train.output_dir"])
    assert hash_of(one, ignore=["train", "model"]) == hash_of(Node())


def test_deep_and_wide():
    node = L(dict)(x=1)
    for _ in range(3000):
        node = L(dict)(x=[node])
    assert hash_of(node) == hash_of(node.copy())


def test_what_cannot_be_hashed_is_refused_with_its_path():
    with pytest.raises(ConfigError, match=r"a\.b"):
        hash_of(cfg(a={"b": object()}))


@pytest.mark.parametrize("kind", ["calls", "lists"])
def test_hash_and_diff_grow_with_the_depth_not_with_its_square(kind):
    def deep(depth, leaf=1):
        value = L(dict)(x=leaf)
        for _ in range(depth):
            value = L(dict)(a=value, b=1) if kind == "calls" else [value, 1]
        return Node(top=value)

    def seconds(depth):
        one, other = deep(depth), deep(depth, 2)
        began = time.process_time()
        assert hash_of(one) != hash_of(other)
        (change,) = diff(one, other)
        assert change.path.count("a" if kind == "calls" else "0") == depth
        assert diff(one, Node(top=3))
        return time.process_time() - began

    seconds(500)
    assert seconds(10_000) < 4  # of the square of the depth: minutes
