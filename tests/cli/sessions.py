"""A program that goes on on a terminal, looked at while it does."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from tests.cli.shop import DEADLINE, STACKCTL, environment


class Session:
    """stackctl on a pseudo terminal; `shown` is all that has arrived there so far."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.shown = ""
        self._terminal = terminal

    def until(self, text: str, after: int = 0) -> int:
        """Read until this has been shown after that place; returns where it ends."""
        end = time.monotonic() + DEADLINE
        while text not in self.shown[after:]:
            left = end - time.monotonic()
            assert left > 0, f"not shown: {text!r} in {self.shown[after:]!r}"
            if not self._read(left):
                raise AssertionError(f"ended without showing {text!r}: {self.shown[after:]!r}")
        return self.shown.index(text, after) + len(text)

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read(DEADLINE):
            pass
        return self.process.wait(DEADLINE)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], seconds)
        try:
            block = os.read(self._terminal, 65536) if ready else b"."
        except OSError:  # EIO: the other end is closed (pty(7))
            return False
        self.shown += block.decode(errors="replace") if ready else ""
        return bool(block)


@contextmanager
def session(
    *words: str, columns: int = 80, rows: int = 24, changes: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Session]:
    """Run stackctl with stdin, stdout and stderr on a terminal of this size."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {**environment(TERM="xterm-256color"), **changes}
    with subprocess.Popen([*STACKCTL, *words], stdin=end, stdout=end, stderr=end, env=env) as process:
        os.close(end)
        try:
            yield Session(process, terminal)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(terminal)
