"""From files to configs: Python files run in isolation, imports deferred or real."""
