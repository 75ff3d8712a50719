"""The tree of recorded calls: nodes, lazy calls, paths, interpolation, traversal."""
