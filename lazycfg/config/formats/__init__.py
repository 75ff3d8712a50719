"""Configs as Python, YAML and JSON, and back."""
