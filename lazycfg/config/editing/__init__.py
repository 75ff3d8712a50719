"""Changing a config: overrides of a command line, and what `select` finds."""
