"""Looking at configs: explain, origins, diff, hash, drift, the tree, graph and HTML views, docstrings.

Each file answers one question. The core needs none of them, but for what a notebook shows of a node.
"""
