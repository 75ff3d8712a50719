"""From a tree to objects: the check of a config, instantiation, profiles of it."""
