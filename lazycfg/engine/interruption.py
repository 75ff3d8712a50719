"""SIGTERM, SIGHUP and Ctrl-C as a wish to stop after the step that is being done."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any, Self

__all__ = ["Interruption", "exception_of"]

logger = logging.getLogger(__name__)

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interruption:
    """Takes the signals that ask a process to end, for the time of the block, and remembers them.

    Only where nobody else handles them (``nohup``, a scheduler's own handler), and only in the main thread of
    this process: forked workers pass over them. A second signal acts as it would without this.
    """

    def __init__(self) -> None:
        self.signal = 0
        """The number of the signal that came, 0 before."""
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        self.signal, self._process = 0, os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if os.getpid() == self._process:
            if self.signal not in (0, signal.SIGINT):  # the process is about to end, and so are its workers
                self._before.pop(getattr(signal, "SIGCHLD", 0), None)
            self._restore()

    def _take(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        self.signal = number
        self._restore()
        if hasattr(signal, "SIGCHLD"):
            # The workers of a loader may have got the signal too; torch would raise that in the middle of the
            # step. The loader itself still notices when a batch is missing.
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        logger.warning(
            "%s: stopping after this step, with a checkpoint; another one stops at once",
            signal.Signals(number).name,
        )

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)


def exception_of(number: int, message: str) -> BaseException:
    """Return what a program ends with after a signal: KeyboardInterrupt after Ctrl-C, else the usual exit
    code, 128 and the number of the signal.
    """
    return KeyboardInterrupt(message) if number == signal.SIGINT else SystemExit(128 + number)
