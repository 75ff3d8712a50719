"""What a bug report needs to say of a machine: versions, devices, where the packages lie."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path

__all__ = ["collect_env", "collect_env_info"]

_PACKAGES = (
    "numpy", "Pillow", "omegaconf", "safetensors", "rich", "hotcoco", "faster-coco-eval", "timm",
    "albumentations", "tensorboard", "av", "torchcodec", "scipy", "opencv-python", "opencv-python-headless",
    "detectron2",
)  # fmt: skip
# Settings that change speed, devices and numbers. Others may hold secrets and are not told.
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "NCCL_DEBUG", "NCCL_SOCKET_IFNAME", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_LOGS", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "LAZYCFG_OFFLINE",
)  # fmt: skip


def collect_env() -> dict[str, str]:
    """Return what is known of this machine and process: name -> text, in the order of a report.

    A line that cannot be found out is "not available"; nothing is raised. Of the environment's variables only
    those are told that change devices, threads and memory.
    """
    import torch
    import torchvision

    from lazycfg._version import __version__

    found = {
        "lazycfg": f"{__version__} at {_short(Path(__file__).parents[1])}",
        "Python": f"{platform.python_version()} at {_short(Path(sys.executable).absolute())}",
        "platform": platform.platform(),
        "CPU": f"{_cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of PyTorch",
        "memory": _memory(),
        "PyTorch": f"{torch.__version__} at {_short(Path(torch.__file__).parent)}",
        "torchvision": f"{torchvision.__version__} at {_short(Path(torchvision.__file__).parent)}",
        "torchvision's operators": "compiled" if _has_operators() else "not available: reinstall torchvision",
        "CUDA of PyTorch": torch.version.cuda or "none: a build for CPUs",
        "ROCm of PyTorch": torch.version.hip or "",
        "NVIDIA driver": _driver(),
    }
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            told = torch.cuda.get_device_properties(index)
            size = f"{told.total_memory / 2**30:.0f} GiB"
            found[f"GPU {index}"] = f"{told.name}, {size}, compute {told.major}.{told.minor}"
        found["cuDNN"] = str(torch.backends.cudnn.version())
    else:
        found["GPU"] = "none that PyTorch can use"
    if torch.backends.mps.is_available():
        found["MPS"] = "available"
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found |= {f"${name}": os.environ[name] for name in _VARIABLES if name in os.environ}
    return {name: value for name, value in found.items() if value}


def collect_env_info() -> str:
    """Return the lines of `collect_env` as a text for a bug report."""
    found = collect_env()
    width = max(map(len, found))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found.items())


def _short(path: Path) -> str:
    """Return a path in which the home folder, and so the user's name, is ~."""
    try:
        return f"~/{path.resolve().relative_to(Path.home().resolve()).as_posix()}"
    except (ValueError, RuntimeError):
        return str(path)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu_name() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory() -> str:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return f"{int(found[1]) / 2**20:.0f} GiB" if found else "not available"


def _driver() -> str:
    found = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", _read("/proc/driver/nvidia/version"))
    return found[1] if found else ""


def _has_operators() -> bool:
    import torch
    import torchvision.ops

    try:
        torchvision.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    except (RuntimeError, AttributeError):
        return False
    return True
