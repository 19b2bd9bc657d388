"""stackctl on a terminal: a real pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from types import MappingProxyType

from tests.cli.shop import DEADLINE, STACKCTL, Ran, environment

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def stackctl_on_terminal(
    *words: str, columns: int = 200, changes: Mapping[str, str] = MappingProxyType({})
) -> Ran:
    """Run it with stdout and stderr on a terminal; `out` is all that arrives there."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {**environment(TERM="xterm-256color"), **changes}
    with subprocess.Popen([*STACKCTL, *words], stdin=end, stdout=end, stderr=end, env=env) as process:
        os.close(end)
        shown = b"".join(iter(lambda: _read(terminal), b""))
        os.close(terminal)
        return Ran(process.wait(DEADLINE), shown.decode().replace("\r\n", "\n"), "")


def plain(shown: str) -> str:
    """What one reads, without colours and without the blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in ESCAPE.sub("", shown).split("\n"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the other end is closed (pty(7))
        return b""
