"""Small helpers without knowledge of detection: events, processes, safe files, spelling suggestions."""

from lazycfg._atomic import atomic_write, open_for_appending, remove_partial_files

from .collect_env import collect_env, collect_env_info
from .comm import (
    all_gather,
    broadcast_object,
    gather,
    get_local_rank,
    get_rank,
    get_world_size,
    is_main_process,
    reduce_dict,
    shared_random_seed,
    synchronize,
)
from .events import EventStorage, HistoryBuffer, NullEventStorage, get_event_storage, has_event_storage
from .logger import log_every_n, log_every_n_seconds, log_first_n
from .memory import retry_if_cuda_oom
from .numpy_pickle import load_numpy_pickle
from .safe_pickle import UnsafeFileError
from .suggest import closest
from .sync_counter import SyncCounter
from .tables import create_small_table
from .text import counted, printable

__all__ = [
    "EventStorage",
    "HistoryBuffer",
    "NullEventStorage",
    "SyncCounter",
    "UnsafeFileError",
    "all_gather",
    "atomic_write",
    "broadcast_object",
    "closest",
    "collect_env",
    "collect_env_info",
    "counted",
    "create_small_table",
    "gather",
    "get_event_storage",
    "get_local_rank",
    "get_rank",
    "get_world_size",
    "has_event_storage",
    "is_main_process",
    "load_numpy_pickle",
    "log_every_n",
    "log_every_n_seconds",
    "log_first_n",
    "open_for_appending",
    "printable",
    "reduce_dict",
    "remove_partial_files",
    "retry_if_cuda_oom",
    "shared_random_seed",
    "synchronize",
]
