"""How the golden files turn outputs into numbers: num(x) of tensors, Instances-like objects (anything
with get_fields()), boxes (anything with .tensor), dicts, lists and dataclasses.  Depends on torch alone."""

import dataclasses
import math

import torch


def r6(x):
    x = float(x)
    return x if not math.isfinite(x) else float(f"{x:.6g}")


def nest(x):
    if isinstance(x, list):
        return [nest(v) for v in x]
    return x if isinstance(x, (int, bool)) else r6(x)


def tstat(t):
    """A tensor in numbers.  probe: values at flat indices (numel * k) // 8, k = 0..7."""
    out = {"shape": list(t.shape), "dtype": str(t.dtype).replace("torch.", "")}
    if t.numel() == 0:
        return out
    d = t.detach().double().flatten()
    out.update(sum=r6(d.sum()), mean=r6(d.mean()), abs_mean=r6(d.abs().mean()))
    if t.dtype != torch.bool:
        out.update(std=r6(d.std(unbiased=False)), min=r6(d.min()), max=r6(d.max()))
        out["probe"] = [r6(d[(d.numel() * k) // 8]) for k in range(8)]
    return out


def num(x, top=20):
    if isinstance(x, torch.Tensor):
        return tstat(x)
    if hasattr(x, "get_fields"):
        out = {"count": len(x), "image_size": list(x.image_size)}
        for k, v in x.get_fields().items():
            if hasattr(v, "tensor"):
                v = v.tensor
            if isinstance(v, torch.Tensor) and v.dim() <= 2 and v.dtype != torch.bool:
                out[k] = {
                    "first": nest(v[:top].tolist()),
                    "sum": r6(v.double().sum()),
                    "shape": list(v.shape),
                }
            elif isinstance(v, torch.Tensor):
                out[k] = tstat(v)
                if v.dtype == torch.bool:
                    out[k]["areas"] = v.flatten(1).sum(1).tolist()[:top]
                elif len(v):
                    out[k]["per_instance_mean"] = nest(v.double().flatten(1).mean(1).tolist()[:top])
                    if k == "pred_keypoints":
                        out[k]["first"] = nest(v[:3].tolist())
            else:
                out[k] = num(v, top)
        return out
    if isinstance(x, dict):
        return {str(k): num(v, top) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [num(v, top) for v in x]
    if x is None or isinstance(x, (bool, int, str)):
        return x
    if isinstance(x, float):
        return r6(x)
    if isinstance(getattr(x, "tensor", None), torch.Tensor):
        return tstat(x.tensor)
    if hasattr(x, "__dict__"):
        return {k: num(v, top) for k, v in vars(x).items()}
    if dataclasses.is_dataclass(x):
        return {f.name: num(getattr(x, f.name), top) for f in dataclasses.fields(x)}
    return repr(x)
