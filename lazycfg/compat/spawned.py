"""The program of ``python -m lazycfg.compat`` in a process that it starts.

Python would run the program again there, to find its functions, before anything could switch the alias on.
"""

import multiprocessing.spawn
import os
import runpy
from typing import Any

import lazycfg.compat.detectron2  # noqa: F401

_PROGRAM = "LAZYCFG_COMPAT_PROGRAM"


def pass_on(program: str, *, is_module: bool) -> None:
    """Let the processes that this one starts run the program with the alias switched on."""
    os.environ[_PROGRAM] = program if is_module else os.path.abspath(program)
    prepared = multiprocessing.spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepared(name)
        data.pop("init_main_from_path", None)
        return {**data, "init_main_from_name": __name__}

    multiprocessing.spawn.get_preparation_data = get_preparation_data


if __name__ == "__mp_main__":
    _path = os.environ[_PROGRAM]
    _run = runpy.run_path if os.path.isabs(_path) else runpy.run_module
    _names = _run(_path, run_name=__name__)
    globals().update({key: value for key, value in _names.items() if key not in ("__spec__", "__name__")})
