"""The former name of `lazycfg.config.interop.omegaconf`; it goes with the next release."""

from lazycfg.config.interop.omegaconf import *  # noqa: F403
from lazycfg.config.tree.from_omegaconf import *  # noqa: F403
