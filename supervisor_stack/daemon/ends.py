"""Being told when processes end that are not our children, so that no SIGCHLD tells us."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from supervisor_stack.daemon import proc

AGAIN = 1.0
"""Seconds to another try when there are no descriptors left."""


class Ends:
    """Holds a pidfd of each, which turns readable when the process ends (pidfd_open(2), of any process).

    `told` is called with the service when the last one has ended that is waited for on its behalf.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._held: dict[str, dict[int, int]] = {}

    def wait(self, service: str, processes: Mapping[int, int]) -> None:
        """Wait for these as well: pids, with the moment at which each began."""
        loop = asyncio.get_running_loop()
        held = self._held.setdefault(service, {})
        for pid in processes.keys() - held.keys():
            try:
                pidfd = proc.hold(pid, processes[pid])
            except OSError:
                if not held:
                    loop.call_later(AGAIN, self._told, service)
                return
            if pidfd is not None:
                held[pid] = pidfd
                loop.add_reader(pidfd, self._ended, service, pid)
        if not held:  # all of them are gone already
            loop.call_soon(self._told, service)

    def _ended(self, service: str, pid: int) -> None:
        held = self._held[service]
        pidfd = held.pop(pid)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        if not held:
            self._told(service)
