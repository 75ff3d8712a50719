"""The check of a run before its first step: all that is wrong, before anything is trained or written."""

from .findings import Findings
from .run import build_or_tell, check_config, compare, share, try_out
from .weights import load_initial, resume_or_load
from .without_running import check_job

__all__ = [
    "Findings",
    "build_or_tell",
    "check_config",
    "check_job",
    "compare",
    "load_initial",
    "resume_or_load",
    "share",
    "try_out",
]
