"""Modules of the core that have other names now are found under their former ones."""

import importlib

import pytest

from lazycfg import config


@pytest.mark.parametrize(
    ("former", "names"),
    [
        ("build", ["instantiate"]),
        ("call", ["LazyCall", "LazyPartial", "attr", "method"]),
        ("checking", ["check", "Problem", "CheckError"]),
        ("interpolation", []),
        ("node", ["Node", "REQUIRED"]),
        ("omegaconf_bridge", ["from_omegaconf", "to_omegaconf"]),
        ("paths", ["get_path", "subset"]),
    ],
)
def test_a_former_module_gives_what_the_package_gives(former, names):
    module = importlib.import_module(f"lazycfg.config.{former}")
    for name in names:
        assert getattr(module, name) is getattr(config, name)
