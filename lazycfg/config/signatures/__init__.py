"""What a callable takes: signatures, with and without importing, types of literals, docstrings."""
