"""The former name of `lazycfg.config.building.check`; it goes with the next release."""

from lazycfg.config.building.check import *  # noqa: F403
from lazycfg.config.building.problems import *  # noqa: F403
