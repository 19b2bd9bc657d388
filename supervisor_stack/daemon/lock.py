"""One stackd for one runtime directory."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Self

from supervisor_stack.errors import InUseError, SpawnError


class Lock:
    """A lock on a runtime directory, held until the process ends, however it ends.

    Taken before anything is bound: libzmq would steal the sockets of a living daemon. The file
    stays: removing it would let a third daemon lock a new file of the same name.
    """

    def __init__(self, runtime_dir: str) -> None:
        path = os.path.join(runtime_dir, "stackd.lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpawnError(f"cannot open {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise InUseError(
                f"cannot start stackd: another one (pid {holder or 'unknown'}) runs on {runtime_dir}",
                ("it goes on undisturbed; see `stackctl status`, or choose another runtime_dir",),
            ) from None
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
