"""What systemd does for a service that dies and comes back: it keeps descriptors, and hands them over again.

sd_notify(3): with FDSTORE=1 the descriptors of the message are kept under FDNAME, with FDSTOREREMOVE=1 those
of that name are closed. sd_listen_fds(3): the next main process gets them from number 3 on, named by
LISTEN_FDNAMES, for the process LISTEN_PID.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

DEFAULT_NAME = "stored"
MESSAGE = 4096
# As many as one message can carry: SCM_MAX_FD of include/net/scm.h.
MOST = 253
# Above the numbers that they get in the end.
FIRST = 1000

# The numbers of the descriptors and of the pipe, then the command. The time is that of the exec, as an
# interpreter has started before it.
LAUNCH = """
import fcntl, os, sys, time
numbers, told = sys.argv[1].split(), fcntl.fcntl(int(sys.argv[2]), fcntl.F_DUPFD_CLOEXEC, 900)
os.close(int(sys.argv[2]))
for place, number in enumerate(numbers, 3):
    os.dup2(int(number), place)
    os.close(int(number))
if numbers:
    os.environ["LISTEN_PID"] = str(os.getpid())
os.write(told, repr(time.monotonic()).encode())
os.execvp(sys.argv[3], sys.argv[3:])
"""


class DescriptorStore:
    """The descriptors that a supervisor has stored, and the socket where it tells of them.

    `keeps`: whether it stores any; without, it only listens.
    """

    def __init__(self, folder: Path, keeps: bool = True) -> None:
        self._keeps = keeps
        self._stored: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._path = folder / "notify-systemd.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self.clear()

    @property
    def names(self) -> list[str]:
        """Under which names descriptors are kept."""
        with self._lock:
            return [name for name, _ in self._stored]

    def clear(self) -> None:
        """The service was stopped: it is given nothing any more."""
        with self._lock:
            for _, fd in self._stored:
                os.close(fd)
            self._stored = []

    def launch(
        self, argv: Sequence[str], cwd: Path, output: BinaryIO
    ) -> tuple[subprocess.Popen[bytes], float]:
        """Execute a command as systemd would; returns its process, and when it was executed."""
        read, told = os.pipe()
        with self._lock, os.fdopen(read, "rb") as answer:
            fds = [fd for _, fd in self._stored]
            env = os.environ | {"NOTIFY_SOCKET": str(self._path)}
            if fds:
                names = ":".join(name for name, _ in self._stored)
                env |= {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}
            numbers = (" ".join(map(str, fds)), str(told))
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", LAUNCH, *numbers, *argv],
                env=env,
                cwd=cwd,
                stdout=output,
                stderr=output,
                pass_fds=(*fds, told),
            )
            os.close(told)
            return process, float(answer.read())

    def _listen(self) -> None:
        while True:
            message, fds, *_ = socket.recv_fds(self._socket, MESSAGE, MOST)
            if not message:
                return
            lines = message.decode().splitlines()
            values = dict(line.split("=", 1) for line in lines if "=" in line)
            name = values.get("FDNAME", DEFAULT_NAME)
            with self._lock:
                if values.get("FDSTOREREMOVE") == "1":
                    self._remove(name)
                elif values.get("FDSTORE") == "1" and self._keeps:
                    self._add(name, fds)
            for fd in fds:
                os.close(fd)

    def _remove(self, name: str) -> None:
        for stored, fd in self._stored:
            if stored == name:
                os.close(fd)
        self._stored = [each for each in self._stored if each[0] != name]

    def _add(self, name: str, fds: Sequence[int]) -> None:
        for fd in fds:
            if not any(os.path.sameopenfile(fd, other) for _, other in self._stored):
                self._stored.append((name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST)))
