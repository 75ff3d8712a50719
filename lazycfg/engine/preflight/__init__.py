"""The check of a run before its first step: all that is wrong, before anything is trained or written."""
