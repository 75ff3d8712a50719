"""Did-you-mean endings for error messages: those of the construction core."""

from lazycfg.config.suggest import did_you_mean as closest

__all__ = ["closest"]
