"""Deterministic weights from names: `fill_(module)` sets every floating-point parameter and buffer
of a torch.nn.Module from its state_dict key and shape alone, so two implementations of one model
(same keys, same shapes) hold the same numbers and no weights need storing.

Depends on torch only.  Every number is an affine function of ``torch.rand`` (the CPU Mersenne
twister turned into 24-bit fractions), multiplied and added in float32, so there is no log/cos/exp
whose last bit could depend on the CPU: the values are the same bit for bit on any machine.

    u  = 2 * torch.rand(numel, generator=Generator().manual_seed(crc32(key))) - 1      in [-1, 1)
    n  = u * sqrt(3)                                                                   (variance 1)

key's last part (leaf), first match wins           value
-------------------------------------------------- ----------------------------------------------
not floating point; pixel_mean, pixel_std;         untouched
    *anchor*; num_batches_tracked
running_var                                        1 + 0.1 * n
running_mean                                       0.05 * n
pos_embed / rel_pos / relative_position_bias_table 0.1 * n
    / cls_token / absolute_pos_embed
ndim >= 2                                          n * scale / sqrt(fan_in), fan_in = prod(shape[1:])
ndim <= 1, leaf is weight / gamma / scale          1 + 0.1 * n
ndim <= 1, anything else (bias, ...)               0.05 * n

`rules` is a list of [regex, multiply, add]; each rule whose regex is found (re.search) in the key
is applied, in order, as  value = value * multiply + add.

A tensor reachable under several keys (shared storage, same shape) is filled once, from the key that
sorts first, so the result does not depend on the order of registration.
"""

import math
import re
import zlib

import torch

SKIP = re.compile(r"(^|\.)(pixel_mean|pixel_std|num_batches_tracked)$|cell_anchors")
POS = re.compile(r"pos_embed|rel_pos|relative_position_bias_table|cls_token")


def unit(key, numel):
    """`numel` reproducible float32 numbers, uniform, mean 0 and variance 1."""
    g = torch.Generator(device="cpu").manual_seed(zlib.crc32(key.encode()) & 0xFFFFFFFF)
    return (torch.rand(numel, generator=g, dtype=torch.float32) * 2 - 1) * math.sqrt(3.0)


def value_for(key, shape, scale=1.0, rules=()):
    """The tensor for one state_dict entry, or None where it must stay untouched."""
    if SKIP.search(key):
        return None
    shape = tuple(shape)
    leaf = key.rsplit(".", 1)[-1]
    n = unit(key, math.prod(shape)).reshape(shape)
    if leaf == "running_var":
        v = 1 + 0.1 * n
    elif leaf == "running_mean":
        v = 0.05 * n
    elif POS.search(leaf):
        v = 0.1 * n
    elif len(shape) >= 2:
        v = n * (scale / math.sqrt(math.prod(shape[1:])))
    elif leaf in ("weight", "gamma", "scale"):
        v = 1 + 0.1 * n
    else:
        v = 0.05 * n
    for regex, mul, add in rules:
        if re.search(regex, key):
            v = v * mul + add
    return v


@torch.no_grad()
def fill_(module, scale=1.0, rules=()):
    """Fill `module` in place and return it.  See the module's docstring."""
    seen = set()
    state = module.state_dict(keep_vars=True)
    for key in sorted(state):
        t = state[key]
        if not isinstance(t, torch.Tensor) or not t.is_floating_point() or t.numel() == 0:
            continue
        ident = (t.data_ptr(), tuple(t.shape))
        if ident in seen:
            continue
        seen.add(ident)
        v = value_for(key, t.shape, scale, rules)
        if v is not None:
            t.data.copy_(v)
    return module


def checksum(module):
    """crc32 over (key, bytes) of every floating tensor in the state_dict, sorted by key."""
    c = 0
    state = module.state_dict()
    for key in sorted(state):
        t = state[key]
        if isinstance(t, torch.Tensor) and t.is_floating_point():
            c = zlib.crc32(key.encode(), c)
            c = zlib.crc32(t.detach().contiguous().cpu().numpy().tobytes(), c)
    return c
