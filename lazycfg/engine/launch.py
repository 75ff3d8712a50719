"""Processes started by a program itself, where `torchrun` does not fit."""

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.multiprocessing as mp

from .distributed import distributed_session, resolve_device

__all__ = ["launch"]


def launch(
    main_func: Callable[..., Any],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: Sequence[Any] = (),
    *,
    timeout_minutes: float = 30,
) -> None:
    """Call a function in several processes that can talk to each other, and wait for all of them.

    From a shell, ``torchrun`` does the same. With one process in all, the function is called in this one.

    Args:
        main_func: of a module (it is sent to the processes); called with ``args`` in each.
        num_gpus_per_machine: processes on this machine: one for each GPU, or any number where there are none.
        num_machines: each calls `launch` with its own ``machine_rank``, from 0.
        machine_rank: of this machine.
        dist_url: where the processes meet: ``tcp://HOST:PORT`` of the first machine. None finds a free port,
            for one machine.
        args: for the function.
        timeout_minutes: how long a process waits for the others.

    Raises:
        ValueError: numbers that do not fit, or no ``dist_url`` for several machines.
        torch.multiprocessing.ProcessRaisedException: a process failed, and the others are ended. Each error
            is printed.
    """
    if num_gpus_per_machine < 1 or not 0 <= machine_rank < num_machines:
        raise ValueError(
            f"{num_gpus_per_machine} processes on machine {machine_rank} of {num_machines}: expected at "
            "least one process, and a rank below the number of machines"
        )
    if torch.cuda.is_available() and num_gpus_per_machine > torch.cuda.device_count():
        raise ValueError(f"{num_gpus_per_machine} processes for {torch.cuda.device_count()} GPUs")
    if num_gpus_per_machine * num_machines == 1:
        main_func(*args)
        return
    if dist_url is None:
        if num_machines > 1:
            raise ValueError("several machines need dist_url='tcp://HOST:PORT', the same on all of them")
        dist_url = f"tcp://127.0.0.1:{free_port()}"
    place = urlsplit(dist_url)
    if place.scheme != "tcp" or not place.hostname or not place.port:
        raise ValueError(f"dist_url={dist_url!r}: expected tcp://HOST:PORT")
    shared = {
        "MASTER_ADDR": place.hostname,
        "MASTER_PORT": str(place.port),
        "WORLD_SIZE": str(num_gpus_per_machine * num_machines),
        "LOCAL_WORLD_SIZE": str(num_gpus_per_machine),
    }
    first = machine_rank * num_gpus_per_machine
    mp.start_processes(
        _process,
        nprocs=num_gpus_per_machine,
        args=(main_func, tuple(args), shared, first, timeout_minutes),
        start_method="spawn",
    )


def _process(
    local_rank: int,
    main_func: Callable[..., Any],
    args: tuple[Any, ...],
    shared: dict[str, str],
    first: int,
    timeout_minutes: float,
) -> None:
    os.environ.update(shared, LOCAL_RANK=str(local_rank), RANK=str(first + local_rank))
    with distributed_session(resolve_device(), timeout_minutes=timeout_minutes):
        try:
            main_func(*args)
        except Exception:
            # The others fail then, too, because this process is gone; theirs may be the error that is raised
            traceback.print_exc()
            raise


def free_port() -> int:
    """Return the number of a port of this machine that nothing uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
