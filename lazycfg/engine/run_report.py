"""``report.html`` at the end of a run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lazycfg.reporting import write_report
from lazycfg.utils import is_main_process

__all__ = ["told"]

logger = logging.getLogger(__name__)


@contextmanager
def told(output_dir: str | Path) -> Iterator[None]:
    """Write the report of the run in a folder when the block ends, also by an error. Where that fails, a
    warning says so.
    """
    try:
        yield
    finally:
        if is_main_process():
            try:
                logger.info("writing the report ...")
                logger.info("the report is %s", write_report(output_dir))
            except Exception:  # the run, or what ended it, is worth more
                logger.warning("could not write the report", exc_info=True)
