"""A program on a terminal, and what is seen there: the little of a terminal that progress bars need."""

import os
import pty
import re
import select
import signal as signals
import subprocess
import sys
import time

_ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """Lines of text; remembers whether one was ever longer than the terminal is wide."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0
        self.too_long: list[str] = []
        self.cursor_hidden = False

    def feed(self, text: str) -> None:
        place = 0
        while place < len(text):
            found = _ESCAPE.match(text, place)
            if found:
                self._obey(found[1], found[2])
                place = found.end()
                continue
            self._put(text[place])
            place += 1

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
            self.column += 1
            if self.column > self.columns:
                self.too_long.append(self.lines[self.row])

    def _obey(self, argument: str, command: str) -> None:
        if command == "A":
            self.row = max(0, self.row - int(argument or 1))
        elif command == "K":
            assert argument == "2"
            self.lines[self.row] = ""
        elif argument == "?25":
            self.cursor_hidden = command == "l"
        else:
            assert command == "m", (argument, command)


def run_on_terminal(arguments, *, columns=80, seconds=200, until=None, signal=None, **options):
    """Run Python on a terminal.

    Args:
        arguments: of Python.
        columns: of the terminal.
        seconds: that it may take.
        until: a text after which ``signal`` is sent, once.
        options: of `subprocess.Popen`.

    Returns:
        the screen, everything that was written, and the exit status.
    """
    main, other = pty.openpty()
    given = {"stdout": other, "stderr": other} | options
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **given.pop("env", {})}
    # Ctrl-C has its usual effect, also where the tests run in the background
    given["preexec_fn"] = lambda: signals.signal(signals.SIGINT, signals.SIG_DFL)
    process = subprocess.Popen([sys.executable, *arguments], env=env, **given)
    os.close(other)
    screen, written, ends = Screen(columns), b"", time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([main], [], [], max(0.0, ends - time.monotonic()))
        assert ready, f"it did not end: {written[-2000:].decode(errors='replace')}"
        try:
            part = os.read(main, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
        if until is not None and until.encode() in written:
            process.send_signal(signal)
            until = None
    os.close(main)
    text = written.decode()
    screen.feed(text)
    return screen, text, process.wait(60)
