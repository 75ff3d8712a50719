"""Who set this: positions of nodes and writes, and the way back from built objects."""
