"""The former name of `lazycfg.config.interop.omegaconf`; it goes with the next release."""

from lazycfg.config.interop.omegaconf import *  # noqa: F403
