"""Writing down how each service is, with what only the shell knows of it: its processes and its sockets."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_stack.core import actions as do
from supervisor_stack.core.state import Service
from supervisor_stack.daemon.archive import Archive, SavedSocket
from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.runs import Runs
from supervisor_stack.daemon.watch_list import Fingerprint


class Memory:
    """Keeps an archive up to date. `files_read`: how the files of a service were when it read them;
    `is_shutting_down`: whether the whole stack is being stopped."""

    def __init__(
        self,
        archive: Archive,
        runs: Runs,
        held: HeldSockets,
        files_read: Callable[[str], Fingerprint],
        is_shutting_down: Callable[[], bool],
    ) -> None:
        self._archive = archive
        self._runs = runs
        self._held = held
        self._files_read = files_read
        self._is_shutting_down = is_shutting_down
        self._records: dict[str, Service] = {}

    def __call__(self, action: do.Remember) -> None:
        """A service has become another, or is no more."""
        if action.record is None:
            self._records.pop(action.service, None)
            self._archive.remove(action.service)
        else:
            self._records[action.service] = action.record
            self.write_down(action.service)

    def write_all(self) -> None:
        """Everything is lost."""
        for service in self._records:
            self.write_down(service)

    def write_down(self, service: str) -> None:
        """What the shell knows of it has changed."""
        if record := self._records.get(service):
            held = tuple(SavedSocket(address, file) for address, file in self._held.files(service).items())
            files = self._files_read(service)
            self._archive.write(record, self._runs.saved(service), held, self._is_shutting_down(), files)
