"""The former name of `lazycfg.config.tree.interpolation`; it goes with the next release."""

from lazycfg.config.tree.interpolation import *  # noqa: F403
