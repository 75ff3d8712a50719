"""Run config files as modules of their own, so that two loads never share a name."""
