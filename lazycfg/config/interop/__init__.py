"""Bridges to OmegaConf and to dataclasses."""
