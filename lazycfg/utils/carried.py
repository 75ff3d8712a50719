"""Hand objects to worker processes by value, with the code of classes and functions of config files.

A class of a config file has no module that another process could import, so pickle cannot name it. Where
workers are started anew (the default of macOS and Windows) what they need travels by cloudpickle instead;
tensors stay in shared memory. This is between a process and its own workers, and never read from a file.
"""

import io
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

__all__ = ["Carried", "carried"]


class Carried:
    """Stands for an object in this process; pickled for another one it is the object itself, by value."""

    def __init__(self, value: Any):
        self.value = value

    def __reduce__(self) -> Any:
        return pickle.loads, (_dumps(self.value),)

    def __getattr__(self, name: str) -> Any:
        if name == "value":  # not made by __init__
            raise AttributeError(name)
        return getattr(self.value, name)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value(*args, **kwargs)


def carried(value: Any, num_workers: int) -> Any:
    """Return `value`, made ready for workers that are not forked from this process; None stays None."""
    from torch import multiprocessing

    # asking without allow_none would settle the method for the rest of the program
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return value if value is None or num_workers == 0 or method == "fork" else Carried(value)


def _dumps(value: Any) -> bytes:
    import cloudpickle

    stream = io.BytesIO()
    pickler = cloudpickle.Pickler(stream)
    shared = getattr(ForkingPickler(io.BytesIO()), "dispatch_table", {})  # those of torch: tensors by handle
    pickler.dispatch_table = {**shared, **pickler.dispatch_table}
    pickler.dump(value)
    return stream.getvalue()
