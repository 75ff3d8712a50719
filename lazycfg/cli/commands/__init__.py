"""The commands of `lazycfg`, a file for each, or for a few that do the same."""
