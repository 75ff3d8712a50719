"""Registering a resolver with OmegaConf, whose name for that differs between 2.3 and 2.4."""

from omegaconf import OmegaConf


def register(name, function):
    found = getattr(OmegaConf, "register_resolver", None)  # in 2.3 this is an old function of other arguments
    if found is None or "replace" not in found.__code__.co_varnames:
        found = OmegaConf.register_new_resolver
    found(name, function, replace=True)
