"""One stackd for one runtime directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from types import TracebackType
from typing import Self

from supervisor_stack.errors import InUseError, SpawnError


class Lock:
    """A lock on a runtime directory, held until the process ends, however it ends.

    Taken before anything is bound: that would steal the sockets of a living daemon. The file
    stays: removing it would let a third daemon lock a new file of the same name.
    """

    def __init__(self, runtime_dir: str) -> None:
        self._path = os.path.join(runtime_dir, "stackd.lock")
        self._fd = self._take()

    def renew(self) -> None:
        """The file may have been removed, so that another stackd would lock another one. Raises as `Lock`."""
        try:
            is_there = os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            fresh = self._take()
            os.close(self._fd)
            self._fd = fresh

    def _take(self) -> int:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpawnError(f"cannot open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            folder = os.path.dirname(self._path)
            raise InUseError(
                f"cannot start stackd: another one (pid {holder or 'unknown'}) runs on {folder}",
                ("it goes on undisturbed; see `stackctl status`, or choose another runtime_dir",),
            ) from None
        with contextlib.suppress(OSError):  # a full disk: it is only for the message above
            os.truncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
