"""The former name of `lazycfg.config.tree.node`; it goes with the next release."""

from lazycfg.config.tree.node import *  # noqa: F403
from lazycfg.config.tree.required import *  # noqa: F403
