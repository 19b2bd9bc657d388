"""The pipe that a service prints into: a FIFO that the service keeps open for reading as well.

So there is always a reader: nobody gets SIGPIPE while stackd is gone, and what is in the pipe stays there
until the next stackd moves it on, as long as one process of the service lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat

from supervisor_stack.daemon.launch import Identity

SIZE = 1024 * 1024
"""Bytes: /proc/sys/fs/pipe-max-size as the kernel sets it (pipe(7)). At 500 MB/s it is full after 2 ms."""

MODE = 0o622
"""A service that has changed its user opens /dev/stderr, which is this file, to write. The folder keeps
everybody out who does not have it as a descriptor already."""


class Pipe:
    """A FIFO, open. `fd` is stackd's end and does not block; `lent` is what services get, and blocks.

    Services share one open file description, which is made in advance: open(2) of a FIFO and the last
    close(2) of one wait for whoever is just moving bytes out of it, and the disk may be slow.
    """

    def __init__(self, name: str, path: str, fd: int) -> None:
        self.name = name
        self.path = path
        self.fd = fd
        os.set_blocking(fd, False)
        self.lent = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # not root, and the user has many pipes already (pipe(7))
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, SIZE)
        self.size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)

    def lend(self, who: Identity) -> int:
        """A descriptor for the stdout and stderr of a run; the caller closes it. Raises OSError."""
        if os.geteuid() == 0:
            user, group = (-1 if number is None else number for number in (who.user, who.group))
            os.fchown(self.fd, user, group)
        lent = os.dup(self.lent)
        os.set_blocking(lent, True)  # an earlier run may have switched that off, for all of them
        return lent

    def is_empty(self) -> bool:
        """Whether all of it has arrived where it goes: it leaves the pipe after that. Never waits."""
        return not self._is(select.POLLIN)

    def is_full(self) -> bool:
        """Whether whoever writes has to wait: it is full of pages, and they may be half empty."""
        return not self._is(select.POLLOUT)

    def _is(self, event: int) -> bool:
        look = select.poll()  # a new one: two threads cannot use one at once
        look.register(self.fd, event)
        return bool(look.poll(0))

    def remove(self) -> None:
        """Take it away from its place; who has it open keeps it."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.path), os.fstat(self.fd)):
                os.unlink(self.path)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.lent)
        os.close(self.fd)


def make(name: str, path: str) -> Pipe:
    """The FIFO at this path, made if it is not there. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o700)
    fd = find(path)
    if fd is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.mkfifo(path)
        os.chmod(path, MODE)  # whatever the umask
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    return _opened(name, path, fd)


def take(name: str, path: str, fd: int) -> Pipe:
    """A pipe that is open already; the descriptor belongs to the pipe now. Raises OSError."""
    return _opened(name, path, fd)


def find(path: str) -> int | None:
    """A descriptor of the FIFO at this path; None when there is none."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    return _open_fifo(path, flags)


def find_in(pid: int, path: str) -> int | None:
    """A descriptor of the FIFO that a process prints into and that once was at this path.

    Where it is not there any more. A pipe of the service's own, to a logger of its own, is left alone.
    """
    for fd in (1, 2):
        link = f"/proc/{pid}/fd/{fd}"
        with contextlib.suppress(OSError):
            # proc(5): " (deleted)" is appended to the name of what was removed.
            was_at = os.readlink(link).removesuffix(" (deleted)").split("/")
            if was_at[-2:] == path.split("/")[-2:] and (found := _open_fifo(link, os.O_PATH)) is not None:
                return found
    return None


def _open_fifo(path: str, flags: int) -> int | None:
    # Looked at before it is opened: opening what is no FIFO may have an effect.
    try:
        place = os.open(path, flags)
    except OSError:
        return None
    try:
        if not stat.S_ISFIFO(os.fstat(place).st_mode):
            return None
        return os.open(f"/proc/self/fd/{place}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(place)


def _opened(name: str, path: str, fd: int) -> Pipe:
    try:
        return Pipe(name, path, fd)
    except OSError:
        os.close(fd)
        raise
