"""The daemon: everything put together, from the specification to the exit status."""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import random
import signal
from collections.abc import MutableMapping
from pathlib import Path

import msgspec
import zmq

from supervisor_stack.config import load
from supervisor_stack.core import actions as do
from supervisor_stack.core.stack import Stack
from supervisor_stack.daemon import sockets
from supervisor_stack.daemon.clock import wall
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.lock import Lock
from supervisor_stack.daemon.notify import Notifications
from supervisor_stack.daemon.perform import Performer
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.server import Server
from supervisor_stack.daemon.status import StatusReader
from supervisor_stack.daemon.systemd import Systemd
from supervisor_stack.daemon.watch import FileWatcher
from supervisor_stack.errors import SpawnError, StackError
from supervisor_stack.spec import StackSpec

log = logging.getLogger(__name__)


class Daemon:
    """One stack on one event loop. It has to be made inside of the loop's thread."""

    def __init__(
        self, spec: StackSpec, environ: MutableMapping[str, str], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._spec = spec
        self._environ = environ
        self._loop = loop
        self._ended: asyncio.Future[None] = loop.create_future()
        self._systemd = Systemd.from_environ(environ)
        stack = Stack(spec.services, random.random, loop.time())
        self._engine = Engine(stack, loop, self._end)
        post = self._engine.post
        self._processes = Processes(loop)
        self._watcher = FileWatcher(post, loop)
        self._notifications = Notifications(
            Path(spec.runtime_dir, "notify"),
            post,
            self._owns,
        )
        self._performer = Performer(
            post,
            lambda name: stack.services[name].spec,
            spec.log_dir,
            self._processes,
            self._notifications,
            self._watcher,
            self,
            environ,
        )
        self._engine.perform = self._performer
        status = StatusReader(spec, stack, self._watcher.watching, loop.time())
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._server = Server(self._engine, self, spec.control.events, status, wall)
        self._told_ready = False
        self._applying: asyncio.Task[None] | None = None

    def _owns(self, service: str, pid: int) -> bool:
        return self._performer.members.owns(service, pid)

    async def serve(self) -> None:
        """Start the stack and run until it was told to stop and everything is down."""
        control = self._bind(zmq.ROUTER, self._spec.control.socket)
        control.setsockopt(zmq.SNDHWM, 1000)
        self._events = self._bind(zmq.PUB, self._spec.control.events)
        self._router = sockets.Router(control, self._loop, self._server.receive)
        self._processes.open()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._shut_down, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._apply_soon)
        log.info(
            "stack %s: %d services from %s", self._spec.name, len(self._spec.services), self._spec.source
        )
        if self._systemd.watchdog_interval:
            self._ping(self._systemd.watchdog_interval)
        self._start()
        await self._ended
        self._watcher.close()
        self._router.close()
        self._events.close()
        self._context.term()
        self._systemd.close()
        log.info("stack %s: everything is down", self._spec.name)

    def _bind(self, kind: int, endpoint: str) -> zmq.Socket[bytes]:
        group = self._spec.control.group
        socket = sockets.bind(self._context, kind, endpoint, 0o660 if group else 0o600)
        if group:
            os.chown(endpoint.removeprefix("ipc://"), -1, grp.getgrnam(group).gr_gid)
        return socket

    def _start(self) -> None:
        names = [service.name for service in self._spec.services if service.autostart]
        if names:
            op = self._server.next_operation()
            self._engine.request(lambda now: self._engine.stack.start(op, names, now).actions)
        self._tell_systemd()

    def _shut_down(self, number: int) -> None:
        if self._engine.stack.is_shutting_down:
            return
        log.info("%s: stopping all services in order", signal.Signals(number).name)
        self._systemd.stopping()
        op = self._server.next_operation()
        self._engine.request(lambda now: self._engine.stack.shut_down(op, now).actions)

    def _apply_soon(self) -> None:
        # The task is kept, or the loop may forget it half-way; one reading at a time is enough, and
        # a file that changes while it is read gets its own HUP.
        if self._applying is None or self._applying.done():
            self._applying = self._loop.create_task(self._apply())

    async def _apply(self) -> None:
        """SIGHUP: read the configuration again and change only what differs; a bad one changes nothing."""
        self._systemd.reloading()
        try:
            new = await asyncio.to_thread(load, self._spec.source, self._environ)
            self._become(new)
        except StackError as error:
            log.error("%s", "\n  ".join((f"SIGHUP: {error.message}", *error.detail, "nothing was changed")))
        finally:
            self._systemd.ready(self._status_text())

    def _become(self, new: StackSpec) -> None:
        fixed = msgspec.structs.replace(new, services=self._spec.services)
        if fixed != self._spec:
            log.warning("SIGHUP: changes of [stack] and [control] wait for the next start of stackd")
        op = self._server.next_operation()

        def ask(now: float) -> list[do.Action]:
            plan, begun = self._engine.stack.apply(op, new.services, now)
            told = "; ".join(f"{what}: {', '.join(names)}" for what, names in plan._asdict().items() if names)
            log.info("SIGHUP: %s", told or "nothing differs")
            return begun.actions

        self._engine.request(ask)
        self._spec = msgspec.structs.replace(self._spec, services=new.services)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _ping(self, interval: float) -> None:
        # From the loop and from nowhere else: when it is stuck, the pings stop, as they should.
        self._systemd.ping()
        self._loop.call_later(interval, self._ping, interval)

    # What the performer tells: performer -> server and systemd.

    def publish(self, change: do.Publish) -> None:
        """A service changed."""
        self._server.publish(change)
        self._tell_systemd()

    def finish(self, end: do.Finish) -> None:
        """An operation ended for a service."""
        self._server.finish(end)

    def _tell_systemd(self) -> None:
        stack = self._engine.stack
        text = self._status_text()
        if not self._told_ready and stack.state != "starting":
            self._told_ready = True
            self._systemd.ready(text)
        else:
            self._systemd.status(text)

    def _status_text(self) -> str:
        stack = self._engine.stack
        return f"{stack.state}: {stack.ready_count} of {len(stack.services)} services ready"

    # What the server sends.

    def reply(self, identity: bytes, frames: list[bytes]) -> None:
        """To one client."""
        self._router.send(identity, frames)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers; one that does not read loses it, and sees the gap in the numbers."""
        self._events.send_multipart(frames, zmq.NOBLOCK)


def run(spec: StackSpec, environ: MutableMapping[str, str]) -> None:
    """Run a stack to its end. Raises InUseError and SpawnError before anything was started."""
    _make_folder(spec.runtime_dir, 0o755)
    _make_folder(spec.log_dir, 0o755)
    _lock = Lock(spec.runtime_dir)

    async def main() -> None:
        await Daemon(spec, environ, asyncio.get_running_loop()).serve()

    asyncio.run(main())
    del _lock


def _make_folder(path: str, mode: int) -> None:
    try:
        os.makedirs(path, mode, exist_ok=True)
    except OSError as error:
        raise SpawnError(f"cannot make the folder {path}: {error.strerror}") from error
