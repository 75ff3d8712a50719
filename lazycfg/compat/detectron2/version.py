"""Versions that are told to programs that ask for them."""

VERSION = "0.6"
"""Of detectron2: its last release. The names and numbers are those of its main branch (commit 02b5c4e)."""

FVCORE_VERSION = "0.1.5"
