"""Optimizer parameter groups: which weight decay and learning rate each parameter of a model gets."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from lazycfg.utils.suggest import closest

__all__ = ["NORM_TYPES", "get_default_optimizer_params", "reduce_param_groups"]

# Not lazycfg.layers.LayerNorm (over channels) and CycleBatchNormList: the published recipes of ViTDet, Swin
# and MViTv2 let them decay like any other layer.
NORM_TYPES: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)


def get_default_optimizer_params(
    model: nn.Module,
    *,
    base_lr: float | None = None,
    weight_decay: float | None = None,
    weight_decay_norm: float | None = None,
    bias_lr_factor: float = 1.0,
    weight_decay_bias: float | None = None,
    lr_factor_func: Callable[[str], float] | None = None,
    overrides: Mapping[str, Mapping[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, from rules that hold for most detectors.

    What is left ``None`` is not written into the groups, so the optimizer's own default holds. Parameters
    with equal settings share a group (an optimizer step costs per group); frozen parameters are left out;
    a parameter that several modules share appears once.

    Args:
        model: whose parameters are to be optimized.
        base_lr: learning rate of all groups; needed by ``bias_lr_factor`` and ``lr_factor_func``.
        weight_decay: of all parameters that no rule below speaks of.
        weight_decay_norm: of the parameters of normalisation layers.
        bias_lr_factor: learning rate of parameters named ``bias``, relative to ``base_lr``.
        weight_decay_bias: of parameters named ``bias``, in normalisation layers too.
        lr_factor_func: full parameter name to a factor on ``base_lr`` (layer-wise decay).
        overrides: settings by parameter name, e.g. ``{"pos_embed": {"weight_decay": 0.0}}``. The name is the
            last part of the parameter's full name, or a pattern of full names if it has a dot or a ``*``.

    Returns:
        a list of dicts, each with ``"params"`` (a list of parameters) and its settings.

    Raises:
        ValueError: a factor without ``base_lr``; ``bias`` settled twice; an override that no parameter has.
    """
    defaults: dict[str, float] = {}
    if base_lr is not None:
        defaults["lr"] = base_lr
    if weight_decay is not None:
        defaults["weight_decay"] = weight_decay

    rules: dict[str, dict[str, float]] = {name: dict(rule) for name, rule in (overrides or {}).items()}
    _check_overrides(model, rules)
    bias_rule: dict[str, float] = {}
    if bias_lr_factor != 1.0:
        if base_lr is None:
            raise ValueError(f"bias_lr_factor={bias_lr_factor} multiplies base_lr, which is not given")
        bias_rule["lr"] = base_lr * bias_lr_factor
    if weight_decay_bias is not None:
        bias_rule["weight_decay"] = weight_decay_bias
    if bias_rule:
        if "bias" in rules:
            raise ValueError(f"overrides['bias'] and {sorted(bias_rule)} of biases are both given; keep one")
        rules["bias"] = bias_rule
    if lr_factor_func is not None and base_lr is None:
        raise ValueError("lr_factor_func multiplies base_lr, which is not given")

    groups: list[dict[str, Any]] = []
    seen: set[nn.Parameter] = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            full_name = f"{module_name}.{name}" if module_name else name
            settings = dict(defaults)
            if weight_decay_norm is not None and isinstance(module, NORM_TYPES):
                settings["weight_decay"] = weight_decay_norm
            if lr_factor_func is not None:
                settings["lr"] *= lr_factor_func(full_name)
            for pattern, rule in rules.items():
                if _matches(pattern, full_name):
                    settings.update(rule)
            groups.append({"params": [parameter], **settings})
    return reduce_param_groups(groups)


def reduce_param_groups(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Merge groups whose settings are equal; order of first appearance is kept."""
    merged: dict[tuple[tuple[str, Any], ...], list[Any]] = defaultdict(list)
    for group in groups:
        settings = tuple(sorted((key, value) for key, value in group.items() if key != "params"))
        merged[settings].extend(group["params"])
    return [{"params": parameters, **dict(settings)} for settings, parameters in merged.items()]


def _matches(pattern: str, full_name: str) -> bool:
    if "." in pattern or "*" in pattern:
        return fnmatchcase(full_name, pattern)
    return full_name.rpartition(".")[2] == pattern


def _check_overrides(model: nn.Module, rules: Mapping[str, object]) -> None:
    names = [name for name, _ in model.named_parameters()]
    for pattern in rules:
        if not any(_matches(pattern, name) for name in names):
            known = {name.rpartition(".")[2] for name in names} | set(names)
            raise ValueError(
                f"overrides[{pattern!r}] matches no parameter of the model{closest(pattern, known)}"
            )
