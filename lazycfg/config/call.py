"""The former name of `lazycfg.config.tree.lazy_call`; it goes with the next release."""

from lazycfg.config.tree.lazy_call import *  # noqa: F403
