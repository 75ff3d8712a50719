"""The former name of `lazycfg.config.building.build`; it goes with the next release."""

from lazycfg.config.building.build import *  # noqa: F403
