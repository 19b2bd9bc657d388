"""Where stdout and stderr of services go: the face of this package to the rest of the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import threading
from collections.abc import Callable

from supervisor_stack.daemon import capture
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.output import journal, pipe
from supervisor_stack.daemon.output.log_file import LogFile
from supervisor_stack.daemon.output.mover import Mover
from supervisor_stack.daemon.output.stream import Stream
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ServiceSpec

log = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that the end of a run is held back for its last words. A hung disk must not hold up a restart."""

LAST_CHANCE = 2.0
"""Seconds that the last bytes get at the end of stackd."""


class Outputs:
    """The output of all services of a stack, by name; for the event loop's thread. Raises OSError.

    `keep` is called with each pipe that is made or found, and `drop` when it is given up: for somebody who
    keeps descriptors beyond the life of stackd.
    """

    def __init__(
        self,
        runtime_dir: str,
        log_dir: str,
        keep: Callable[[str, int], None] = lambda _name, _fd: None,
        drop: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._folder = os.path.join(runtime_dir, "output")
        self._log_dir = log_dir
        self._keep = keep
        self._drop = drop
        self._streams: dict[str, Stream] = {}
        self._mover = Mover()
        self._is_open = True

    def open(self, spec: ServiceSpec, who: Identity) -> int:
        """A descriptor for the stdout of a run, and with all but `inherit` for its stderr, too.

        The caller closes it. Raises SpawnError, OSError.
        The log file is opened elsewhere: one that cannot be written is told, and holds nobody up.
        """
        match spec.log.to:
            case "null":
                return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            case "inherit":
                return os.dup(1)
            case "journal":
                return journal.open_stream(spec.name)
            case "file":
                path = self._path(spec.name)
                try:
                    if spec.name not in self._streams:
                        self._begin(spec, pipe.make(spec.name, path))
                    return self._streams[spec.name].pipe.lend(who)
                except OSError as error:
                    raise SpawnError(f"cannot make the pipe {path}: {error.strerror}") from error

    def adopt(self, spec: ServiceSpec, pid: int, fd: int | None = None) -> bool:
        """Take up the pipe of a service that runs already, and move on what is in it.

        `fd`: a descriptor of the pipe, which belongs to this object from now on. Without it the pipe is
        looked for at its path, then among the descriptors of the main process `pid`. Returns whether there
        was one: a service may have been started with another `log.to`.
        """
        path = self._path(spec.name)
        if spec.name in self._streams:
            if fd is not None:
                os.close(fd)
            return True
        if fd is None:
            fd = pipe.find(path)
        if fd is None:
            fd = pipe.find_in(pid, path)
        if fd is None:
            return False
        try:
            found = pipe.take(spec.name, path, fd)
        except OSError as error:
            log.error("%s: cannot take up its output: %s", spec.name, error.strerror)
            return False
        self._begin(spec, found)
        return True

    def _begin(self, spec: ServiceSpec, source: pipe.Pipe) -> None:
        path = capture.log_path(self._log_dir, spec.name)
        file = LogFile(path, spec.log.max_bytes, spec.log.keep, self._mover.spyglass)
        stream = Stream(source, file, self._mover.spyglass)
        self._streams[spec.name] = stream
        self._mover.order(lambda: self._mover.add(stream))
        self._keep(spec.name, source.fd)

    def whereabouts(self, spec: ServiceSpec) -> tuple[str, ...]:
        """Where to look for what a run said, when that cannot be read here."""
        return (
            (f"its words are in the journal: journalctl -t {spec.name}",) if spec.log.to == "journal" else ()
        )

    def retune(self, spec: ServiceSpec) -> None:
        """Its `max_bytes` or `keep` may have changed."""
        limits = spec.log.max_bytes, spec.log.keep
        stream = self._streams.get(spec.name)
        if stream and (stream.file.max_bytes, stream.file.keep) != limits:
            file = stream.file

            def set_limits() -> None:
                file.max_bytes, file.keep = limits

            self._mover.order(set_limits)

    def drain(self, service: str, then: Callable[[], None]) -> None:
        """Call `then` once, when what the service has printed so far is in its file.

        At once if it is already, and in any case after PATIENCE seconds.
        """
        stream = self._streams.get(service)
        if stream is None or stream.pipe.is_empty():
            then()
            return
        loop = asyncio.get_running_loop()
        waits = [then]

        def done() -> None:
            limit.cancel()
            while waits:
                waits.pop()()

        def drain() -> None:
            self._mover.drain(stream)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done)

        limit = loop.call_later(PATIENCE, done)
        self._mover.order(drain)

    def settle(self) -> None:
        """Wait until what is in the pipes now is in the files, for PATIENCE seconds at most.

        For the start of stackd, when nobody else waits yet.
        """
        done = threading.Event()
        for stream in self._streams.values():
            self._mover.order(functools.partial(self._mover.drain, stream))
        self._mover.order(done.set)
        done.wait(PATIENCE)

    def forget(self, service: str) -> None:
        """Move the rest, and keep nothing any more for a service."""
        if stream := self._streams.pop(service, None):
            stream.pipe.remove()
            self._mover.order(functools.partial(self._mover.remove, stream))
            self._drop(service)

    def close(self) -> None:
        """Move the rest of everything and let go of it, when no service runs any more.

        Waits for at most LAST_CHANCE seconds, so it is for the end of stackd.
        """
        for service in list(self._streams):
            self.forget(service)
        self._end()

    def leave(self) -> None:
        """Let go of everything while services go on running; waits as `close` does.

        Their pipes stay where they are, and what is in them as well: no byte leaves a pipe before it is in
        the file, so the next stackd moves on exactly what this one has not. It is safe at any moment, between
        two runs of a service too, if somebody keeps the pipe: a pipe that nobody has open is empty.
        """
        self._streams.clear()
        self._end()

    def _end(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._mover.order(self._mover.end)
        if not self._mover.wait(LAST_CHANCE):
            log.error("output may be lost: the log folder %s does not take it in time", self._log_dir)

    def _path(self, service: str) -> str:
        return os.path.join(self._folder, service)
