"""The listening sockets of the control plane. They outlive this process: who connects while stackd is being
replaced is not refused, he waits until the next one lets him in.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from contextlib import suppress
from typing import Final

from supervisor_stack.control.reach import socket_path
from supervisor_stack.daemon.endpoint import admit, listen_at
from supervisor_stack.daemon.fd_store import FdStore, name_of
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ControlSpec

log = logging.getLogger(__name__)

KEPT_AS: Final = "control"
"""What the names of these descriptors begin with."""


class ControlSockets:
    """Opens them, or goes on with those of the stackd before. Hold the lock file."""

    def __init__(self, store: FdStore) -> None:
        self._store = store
        self._handed_over = store.take_all(KEPT_AS)

    def open(self, endpoint: str, spec: ControlSpec) -> socket.socket:
        """Listen on an ipc endpoint, for those who have a role. Raises SpawnError."""
        path, name = socket_path(endpoint), name_of(KEPT_AS, endpoint)
        listening = self._still_at(path, name)
        try:
            if listening:
                admit(path, spec)
            else:
                listening = listen_at(path, spec)
        except OSError as error:
            if listening:
                listening.close()
            self._store.drop(name)
            raise SpawnError(f"cannot listen on {endpoint}: {error.strerror or error}") from error
        self._store.keep(name, listening.fileno())
        return listening

    def remove(self, endpoint: str) -> None:
        """Nobody shall come there any more."""
        self._store.drop(name_of(KEPT_AS, endpoint))
        with suppress(FileNotFoundError):
            os.unlink(socket_path(endpoint))

    def close_rest(self) -> None:
        """Where the stackd before has listened and this one does not."""
        for name, fd in self._handed_over.items():
            with socket.socket(fileno=fd) as listening:
                path = listening.getsockname()
                log.info("no longer listening on %s", path)
                self._store.drop(name)
                if _is_socket(path):
                    os.unlink(path)
        self._handed_over.clear()

    def _still_at(self, path: str, name: str) -> socket.socket | None:
        """The one that was handed over, if its path still leads to it."""
        if name not in self._handed_over:
            return None
        listening = socket.socket(fileno=self._handed_over.pop(name))
        if listening.getsockname() == path and _is_socket(path):
            return listening
        listening.close()
        self._store.drop(name)
        return None


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
