"""Weight initialisation with Caffe2's semantics, which the published baselines were trained from."""

from torch import nn


def c2_msra_fill(module: nn.Module) -> None:
    """Initialize in place: normal weights with variance 2 / fan_out (arXiv:1502.01852), zero bias."""
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    _zero_bias(module)


def c2_xavier_fill(module: nn.Module) -> None:
    """Initialize in place: uniform weights in +-sqrt(3 / fan_in) (Caffe2's "XavierFill"), zero bias."""
    nn.init.kaiming_uniform_(module.weight, a=1)
    _zero_bias(module)


def _zero_bias(module: nn.Module) -> None:
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)
