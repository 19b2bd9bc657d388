"""The services beside the four servers while their supervisor dies: run by file name, they need nothing.

    python bystander.py writer FOLDER [RATE]     numbered lines on stdout, for ever
    python bystander.py extra SOCKET             half a second to get ready, one to leave
    python bystander.py task SECONDS             comes to its end

The writer is a service that cannot be told to write less: what a full pipe has kept back is written as soon
as there is room. It leaves a count of its lines (see `Written`) in FOLDER, so that who reads them knows how
many there have to be.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

LENGTH = 100
RATE = 5000
TICK = 0.001
# pipe(7): what is no longer than PIPE_BUF is written as a whole. 40 lines are 4000 of its 4096 bytes.
MOST_LINES = 40
COUNT = struct.Struct("=QQd")

GET_READY = 0.5
LEAVE = 1.0


@dataclass(frozen=True)
class Written:
    """What became of a writer's lines: written; refused, as nobody had the other end of its pipe (EPIPE);
    and the longest that it had to wait for room, in seconds."""

    lines: int
    refused: int
    blocked: float


def line(number: int, pid: int) -> bytes:
    """A line of the writer with this pid, newline included."""
    return f"{number:09d} {pid} ".encode().ljust(LENGTH - 1, b"x") + b"\n"


def write(folder: Path, rate: float) -> None:
    """Write until SIGTERM."""
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    pid, lines, refused, blocked = os.getpid(), 0, 0, 0.0
    fresh = folder / f"writer.{pid}.new"
    fresh.write_bytes(bytes(COUNT.size))
    count = fresh.rename(folder / f"writer.{pid}.count")
    with count.open("r+b") as file, mmap.mmap(file.fileno(), COUNT.size) as shown:
        begun = time.monotonic()
        while not ended:
            due = int((time.monotonic() - begun) * rate) - lines
            numbers = range(lines + 1, lines + 1 + min(due, MOST_LINES))
            asked = time.monotonic()
            try:
                write_all(b"".join(line(number, pid) for number in numbers))
            except BrokenPipeError:
                refused += len(numbers)
            lines += len(numbers)
            blocked = max(blocked, time.monotonic() - asked)
            COUNT.pack_into(shown, 0, lines - refused, refused, blocked)
            if due <= MOST_LINES:
                time.sleep(TICK)


def write_all(text: bytes) -> None:
    """To stdout, as a whole; waits for room."""
    while text:
        text = text[os.write(1, text) :]


def counts(folder: Path) -> dict[int, Written]:
    """What each writer that left a count there has written, by its pid."""
    found = {}
    for path in folder.glob("writer.*.count"):
        found[int(path.name.split(".")[1])] = Written(*COUNT.unpack(path.read_bytes()))
    return found


def linger(path: str) -> None:
    """Listen at a unix socket after a while, and take as long to leave."""
    stop = signal.SIGTERM
    signal.pthread_sigmask(signal.SIG_BLOCK, {stop})
    if not signal.sigtimedwait({stop}, GET_READY):
        Path(path).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            signal.sigwait({stop})
        Path(path).unlink(missing_ok=True)
    time.sleep(LEAVE)


def main() -> None:
    """Be one of the three."""
    match sys.argv[1:]:
        case ["writer", folder, *rate]:
            write(Path(folder), float(rate[0]) if rate else RATE)
        case ["extra", path]:
            linger(path)
        case ["task", seconds]:
            time.sleep(float(seconds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
