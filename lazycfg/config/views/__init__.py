"""A config to look at: as lines, as a notebook's tree, as a graph."""
