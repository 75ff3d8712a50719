"""The command `env`: what a bug report needs to say of a machine."""

from __future__ import annotations

import argparse

from lazycfg.cli.common import say

__all__ = ["env"]


def env(arguments: argparse.Namespace) -> int:
    """Print versions, devices and where the packages lie."""
    from lazycfg.utils.collect_env import collect_env_info

    say(collect_env_info())
    return 0
