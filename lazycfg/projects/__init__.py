"""Models that others built, on top of the library: each imports it as any user would."""
