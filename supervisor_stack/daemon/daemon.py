"""The daemon: everything put together, from the specification to the end."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from supervisor_stack.core import actions as do
from supervisor_stack.core.stack import Stack
from supervisor_stack.daemon.clock import wall
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.herald import Herald
from supervisor_stack.daemon.lock import Lock
from supervisor_stack.daemon.perform import Performer
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.reread import Rereader
from supervisor_stack.daemon.server import Server
from supervisor_stack.daemon.status import StatusReader
from supervisor_stack.daemon.systemd import Systemd
from supervisor_stack.daemon.watch import FileWatcher
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import StackSpec

if TYPE_CHECKING:
    from supervisor_stack.daemon.control import Control

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

NOT_FOR_US = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGIO)
"""Signals that would end a process that does not expect them, and leave the services alone."""


class Daemon:
    """One stack on one event loop. It has to be made inside of the loop's thread."""

    def __init__(
        self, spec: StackSpec, environ: MutableMapping[str, str], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._spec = spec
        self._loop = loop
        self._ended: asyncio.Future[None] = loop.create_future()
        systemd = Systemd.from_environ(environ)
        stack = Stack(spec.services, random.random, loop.time(), spec.parallel)
        self._engine = Engine(stack, loop, self._end)
        post = self._engine.post
        self._processes = Processes(loop)
        self._watcher = FileWatcher(post, loop)
        self._performer = Performer(
            post,
            lambda name: stack.services[name].spec,
            spec.runtime_dir,
            spec.log_dir,
            self._processes,
            self._watcher,
            self,
            environ,
        )
        self._engine.perform = self._performer
        self._control: Control | None = None
        status = StatusReader(
            spec,
            stack,
            self._watcher.watching,
            self._performer.held.addresses,
            self._performer.runs.pids,
            loop.time(),
        )
        self._server = Server(self._engine, self, spec.control.events, status, wall)
        self._herald = Herald(systemd, stack, loop)
        self._rereader = Rereader(
            spec, self._engine, self._herald, environ, self._server.next_operation, self._applied
        )

    async def serve(self) -> None:
        """Start the stack and run until it was told to stop and everything is down."""
        self._processes.open()
        self._listen_to_signals()
        count, source = len(self._spec.services), self._spec.source
        log.info("stack %s: %d services from %s", self._spec.name, count, source)
        names = [service.name for service in self._spec.services if service.autostart]
        if names:
            op = self._server.next_operation()
            self._engine.request(lambda now: self._engine.stack.start(op, names, now).actions)
        self._herald.open()
        problem = self._open_control()
        await self._ended
        for pid in await self._performer.members.end_strays():
            log.error("cannot end pid %d: it is still there after SIGKILL", pid)
        self._watcher.close()
        if self._control:
            self._control.close()
        self._herald.close()
        log.info("stack %s: everything is down", self._spec.name)
        if problem:
            raise problem

    def _open_control(self) -> SpawnError | None:
        """Listen for requests. The services are on their way already: importing ZeroMQ takes 10 ms."""
        from supervisor_stack.daemon.control import Control

        try:
            self._control = Control(self._spec.control, self._loop, self._server.receive)
        except SpawnError as error:
            log.error("%s; what nobody can talk to is of no use: stopping all services", error.message)
            self._engine.request(lambda now: self._engine.stack.shut_down(0, now).actions)
            return error
        return None

    def _listen_to_signals(self) -> None:
        for each in STOPS:
            self._loop.add_signal_handler(each, self._shut_down, each)
        self._loop.add_signal_handler(signal.SIGHUP, self._rereader.begin)
        for each in NOT_FOR_US:
            # Handled, not ignored: what is ignored stays so in every process that a service starts.
            self._loop.add_signal_handler(each, log.warning, "%s means nothing to stackd", each.name)
        # Thousands of children that end at once fill the pipe through which asyncio hears of signals.
        # That is no loss, since the reaper collects all of them; but to warn of it CPython takes a
        # lock in the signal handler, which deadlocks when the main thread is just holding it.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)

    def _shut_down(self, number: signal.Signals) -> None:
        if self._engine.stack.is_shutting_down:
            return
        log.info("%s: stopping all services in order", number.name)
        op = self._server.next_operation()
        self._engine.request(lambda now: self._engine.stack.shut_down(op, now).actions)
        self._herald.tell()

    def _applied(self, spec: StackSpec) -> None:
        self._spec = spec
        self._watcher.forget(self._engine.stack.services)
        self._performer.forget(self._engine.stack.services)
        self._herald.tell()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # What the performer tells: on to the server and to systemd.

    def publish(self, change: do.Publish) -> None:
        """A service changed."""
        self._server.publish(change)
        self._herald.tell()
        if change.service not in self._engine.stack.services:  # it was removed, and is down now
            self._performer.forget(self._engine.stack.services)

    def finish(self, end: do.Finish) -> None:
        """An operation ended for a service."""
        self._server.finish(end)

    # What the server sends.

    def reply(self, identity: bytes, frames: list[bytes]) -> None:
        """To one client."""
        if self._control:
            self._control.reply(identity, frames)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers, once there can be any."""
        if self._control:
            self._control.send_notice(frames)


def run(spec: StackSpec, environ: MutableMapping[str, str]) -> None:
    """Run a stack to its end. Raises InUseError and SpawnError before anything was started."""
    _make_folder(spec.runtime_dir)
    _make_folder(spec.log_dir)
    with Lock(spec.runtime_dir):
        asyncio.run(_serve(spec, environ))


async def _serve(spec: StackSpec, environ: MutableMapping[str, str]) -> None:
    await Daemon(spec, environ, asyncio.get_running_loop()).serve()


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise SpawnError(f"cannot make the folder {path}: {error.strerror}") from error
