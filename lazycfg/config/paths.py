"""The former name of `lazycfg.config.tree.paths`; it goes with the next release."""

from lazycfg.config.tree.access import *  # noqa: F403
from lazycfg.config.tree.paths import *  # noqa: F403
