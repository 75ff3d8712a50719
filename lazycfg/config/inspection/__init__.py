"""Look at configs: explain, origins, diff, hash, drift, tree and graph views."""
