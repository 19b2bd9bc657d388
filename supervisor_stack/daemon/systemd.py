"""What stackd tells the systemd that started it: the protocol of sd_notify(3), without libsystemd.

It must never block the loop or raise because systemd is away, and must not leave systemd's variables
in the environment of the services: they would speak in stackd's name.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Final, Self

# sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
VARIABLES: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
)

NO_ROOM: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS})
"""What sendmsg(2) and unix(7) say when it would work later."""


class Systemd:
    """The notify socket and the watchdog of our unit; without systemd every call does nothing.

    `watchdog_interval` is how often to call `ping`, in seconds, or None when nobody watches.
    """

    def __init__(self, address: str = "", watchdog_interval: float | None = None) -> None:
        self.watchdog_interval = watchdog_interval
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._status = ""
        self._unsent = ""
        self._storing: deque[tuple[str, int]] = deque()
        self.given: dict[str, str] = {}
        """The variables as they came, for what this process becomes when it executes itself anew."""

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str]) -> Self:
        """Take systemd's variables out of `environ` and make of them what there is to know."""
        given = {name: environ.pop(name, "") for name in VARIABLES}
        given.pop("LISTEN_PIDFDID")
        systemd = cls._of(given)
        systemd.given = {name: value for name, value in given.items() if value}
        return systemd

    @classmethod
    def _of(cls, given: dict[str, str]) -> Self:
        address = given["NOTIFY_SOCKET"]
        # sd_notify(3) also knows vsock:CID:PORT, for the inside of a virtual machine's pid 1.
        if not address.startswith(("/", "@")):
            address = ""
        return cls(address, _watchdog_interval(given["WATCHDOG_USEC"], given["WATCHDOG_PID"]))

    def ready(self, status: str) -> None:
        """The start, or a reload, is finished."""
        self._announce("READY=1", status)

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        # systemd 253 and later compares the time with that of its own signal (Type=notify-reload).
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._announce(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """The stop begins."""
        self._announce("STOPPING=1")

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`. The same line is not sent twice."""
        line = _line(text)
        if line != self._status and self._send(f"STATUS={line}"):
            self._status = line

    def extend_timeout(self, seconds: float) -> None:
        """Ask for so much time, from now, for the start or stop under way."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def ping(self) -> None:
        """Tell the watchdog that the loop turns."""
        self._send("WATCHDOG=1")

    def store(self, name: str, fd: int) -> None:
        """Have systemd keep a descriptor until the unit is stopped, also when this process ends.

        It comes back to the next one as a passed descriptor of this name (sd_pid_notify_with_fds(3),
        FileDescriptorStoreMax= of systemd.service(5)).
        """
        # FDPOLL=0: by default systemd drops a pipe when its other end is closed.
        self._keep(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", os.dup(fd) if self._socket else -1)

    def unstore(self, name: str) -> None:
        """Have systemd close what it keeps under this name."""
        self._keep(f"FDSTOREREMOVE=1\nFDNAME={name}", -1)

    def _keep(self, message: str, fd: int) -> None:
        if self._socket is not None:
            self._storing.append((message, fd))
            self._store_waiting()

    def _store_waiting(self) -> None:
        """In their order; what systemd has no room for now goes with whatever is sent next."""
        while self._socket is not None and self._storing:
            message, fd = self._storing[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
            try:
                self._socket.sendmsg([message.encode()], rights, 0, self._address)
            except OSError as error:
                if error.errno in NO_ROOM:
                    return
                # Nobody is there: it is not for us to wait.
            self._storing.popleft()
            if fd >= 0:
                os.close(fd)

    def close(self) -> None:
        """Give the socket back; every later call does nothing."""
        if self._socket is not None:
            self._store_waiting()
            for _, fd in self._storing:
                if fd >= 0:
                    os.close(fd)
            self._storing.clear()
            self._socket.close()
            self._socket = None

    def _announce(self, state: str, status: str = "") -> None:
        # A state that systemd does not learn would have the unit killed at its timeout, so one that is
        # lost is said again with whatever is sent next. The latest state stands for those before it.
        self._unsent = state
        line = _line(status)
        if self._send(*((f"STATUS={line}",) if line else ())):
            self._status = line or self._status

    def _send(self, *assignments: str) -> bool:
        if self._socket is None:
            return False
        self._store_waiting()
        lines = (self._unsent, *assignments) if self._unsent else assignments
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            # Nobody there, or a full queue (EAGAIN): systemd is busy, restarting or gone for good. It
            # is not for the supervisor of a site to stop or to wait because of that.
            return False
        self._unsent = ""
        return True


def _line(text: str) -> str:
    # A newline would begin another assignment.
    return " ".join(text.split())


def _watchdog_interval(microseconds: str, pid: str) -> float | None:
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    # The variables are inherited by whatever the unit's main process starts; the pid tells for whom.
    if pid and pid != str(os.getpid()):
        return None
    # sd_watchdog_enabled(3) recommends half of the time.
    return int(microseconds) / 1_000_000 / 2
