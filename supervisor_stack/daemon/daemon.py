"""The daemon: everything put together, from the specification to the end."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import random
import signal
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from supervisor_stack.control.reach import socket_path
from supervisor_stack.core import actions as do
from supervisor_stack.core.stack import Stack
from supervisor_stack.daemon import limits
from supervisor_stack.daemon.access import Access
from supervisor_stack.daemon.adoption import adopt
from supervisor_stack.daemon.apply import BY_SIGNAL, Applier, Asked
from supervisor_stack.daemon.archive import Archive
from supervisor_stack.daemon.clock import wall
from supervisor_stack.daemon.control_sockets import ControlSockets
from supervisor_stack.daemon.engine import Engine
from supervisor_stack.daemon.fd_store import FdStore, handed_over, name_of
from supervisor_stack.daemon.graph import GraphReader
from supervisor_stack.daemon.herald import Herald
from supervisor_stack.daemon.last_good import LastGood
from supervisor_stack.daemon.lock import Lock
from supervisor_stack.daemon.output.outputs import Outputs
from supervisor_stack.daemon.perform import Performer
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.replacement import Replacement, Successor
from supervisor_stack.daemon.runtime_dir import RuntimeDir
from supervisor_stack.daemon.server import Server
from supervisor_stack.daemon.signals import HEARD
from supervisor_stack.daemon.status import StatusReader
from supervisor_stack.daemon.systemd import Systemd
from supervisor_stack.daemon.usage import Meter
from supervisor_stack.daemon.watch import FileWatcher
from supervisor_stack.errors import InUseError, SpawnError, StackError
from supervisor_stack.spec import StackSpec

if TYPE_CHECKING:
    from supervisor_stack.daemon.control import Control

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
LEAVE = signal.SIGUSR1
REPLACE = signal.SIGUSR2

LISTEN_AGAIN = 1.0
"""Seconds until it is tried again to listen for requests."""

IMPORTED_LATE = ("supervisor_stack.daemon.control", "psutil")
"""What a running stackd needs besides, and does not wait for at its start."""

NOT_FOR_US = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGIO)
"""Signals that would end a process that does not expect them, and leave the services alone."""


class Daemon:
    """One stack on one event loop. It has to be made inside of the loop's thread."""

    def __init__(
        self,
        spec: StackSpec,
        environ: MutableMapping[str, str],
        warning: str,
        lock: Lock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._spec = spec
        self._lock = lock
        self._loop = loop
        self._ended: asyncio.Future[Successor | None] = loop.create_future()
        self._nofile = limits.make_room(environ)
        systemd = Systemd.from_environ(environ)
        self._store = FdStore(systemd, handed_over(environ, systemd))
        self._last_good = LastGood(self._store)
        self._last_good.keep(spec)
        self._archive = Archive(spec.runtime_dir)
        stack = Stack((), random.random, loop.time(), spec.parallel)
        self._engine = Engine(stack, loop, self._end)
        post = self._engine.post
        self._processes = Processes(loop)
        self._watcher = FileWatcher(post, loop)
        self._outputs = Outputs(
            spec.runtime_dir,
            spec.log_dir,
            lambda name, fd: self._store.keep(name_of("output", name), fd),
            lambda name: self._store.drop(name_of("output", name)),
        )
        self._performer = Performer(
            post,
            lambda name: stack.services[name].spec,
            spec.runtime_dir,
            spec.log_dir,
            self._outputs,
            self._processes,
            self._watcher,
            self,
            environ,
            self._store,
            self._archive,
            lambda: stack.is_shutting_down,
            self._nofile,
        )
        self._engine.perform = self._performer
        self._control_sockets = ControlSockets(self._store)
        self._control: Control | None = None
        self._status = StatusReader(
            spec,
            stack,
            self._watcher.watching,
            self._performer.held.addresses,
            Meter(loop, stack.services, self._performer.runs.pids),
            self._performer.answers.of,
            lambda: self._herald.warning,
            loop.time(),
        )
        graph = GraphReader(spec.name, stack, lambda: self._herald.warning)
        refusal = self._performer.answers.refusal
        self._server = Server(self._engine, self, self._status, graph, wall, refusal)
        self._access = Access(spec.control, spec.source)
        self._herald = Herald(systemd, stack, loop, warning)
        self._replacement = Replacement(self._processes, self._store, systemd, environ, self._nofile)
        self._replacing: asyncio.Task[None] | None = None
        self._took_over = False
        self._sockets = tuple(map(socket_path, (spec.control.socket, spec.control.events)))
        self._runtime_dir = RuntimeDir(
            spec.runtime_dir,
            (*self._sockets, self._archive.folder),
            loop,
            self._make_again,
        )
        self._applier = Applier(
            spec, self._engine, self._herald, environ, self._server.next_operation, self._applied
        )

    async def serve(self) -> Successor | None:
        """Run the stack until everything is down, or left to another stackd: to the one that is returned, or
        to whichever comes."""
        self._processes.open()
        self._listen_to_signals()
        self._archive.open()
        count, source = len(self._spec.services), self._spec.source
        log.info("stack %s: %d services from %s", self._spec.name, count, source)
        if self._herald.warning:
            log.warning("%s", self._herald.warning)
        self._begin()
        problem = self._open_control()
        self._runtime_dir.watch()
        self._herald.open()
        successor = await self._ended
        is_over = self._engine.stack.is_finished
        if is_over:
            for pid in await self._performer.members.end_strays():
                log.error("cannot end pid %d: it is still there after SIGKILL", pid)
        self._runtime_dir.close()
        if self._control:
            (self._control.close if is_over else self._control.leave)()
        if is_over:
            self._outputs.close()
        else:
            self._outputs.leave()
        self._watcher.close()
        self._herald.close()
        if is_over:
            self._archive.clear()
            log.info("stack %s: everything is down", self._spec.name)
        if problem:
            raise problem
        return successor

    def _begin(self) -> None:
        """Take up what an earlier stackd has left, and start what is to run besides."""
        stack, services = self._engine.stack, self._spec.services
        saved = self._archive.load()
        found = adopt(self._performer, saved, {spec.name: spec for spec in services}, self._loop.time())
        self._store.close_rest()
        stack.recall(found.records)
        if found.records:
            log.info("going on with %s", ", ".join(record.name for record in found.records))
        op = self._server.next_operation()
        # A stop that was cut short: whoever starts stackd after that wants everything.
        cut_short = any(each.shutting_down for each in saved)
        again = [service.name for service in services if service.autostart and cut_short]
        self._engine.request(
            lambda now: stack.apply(op, services, now, found.facts, again, "stackd")[1].actions
        )
        self._took_over = bool(found.records)

    def _open_control(self) -> SpawnError | None:
        """Listen for requests. The services are on their way already.

        A stack that nobody can talk to is not begun; one that runs is looked after all the same.
        """
        from supervisor_stack.daemon.control import Control

        try:
            self._control = Control(
                self._spec.control, self._control_sockets, self._access, self._loop, self._server.receive
            )
        except SpawnError as error:
            if self._took_over:
                log.error("%s; all services go on, and it is tried again", error.message)
                self._loop.call_later(LISTEN_AGAIN, self._listen_after_all)
                return None
            log.error("%s; what nobody can talk to is of no use: stopping all services", error.message)
            self._engine.request(lambda now: self._engine.stack.shut_down(0, now, "stackd").actions)
            return error
        self._took_over = True  # from now on this is a stack that runs
        return None

    def _listen_after_all(self) -> None:
        if not self._ended.done() and self._control is None:
            self._open_control()

    def _make_again(self) -> None:
        """The runtime directory was removed, or a part of it. Raises StackError."""
        _make_folder(self._spec.runtime_dir)
        try:
            self._lock.renew()
        except InUseError as error:
            log.error("%s; this one leaves", error.message)
            self.leave()
            return
        self._archive.open()
        self._performer.memory.write_all()
        if self._control and all(map(os.path.exists, self._sockets)):
            return
        if self._control:
            self._control.close()
            self._control = None
        self._open_control()

    def _listen_to_signals(self) -> None:
        for each in STOPS:
            self._loop.add_signal_handler(each, self._shut_down, each)
        self._loop.add_signal_handler(signal.SIGHUP, self._applier.ask, BY_SIGNAL)
        self._loop.add_signal_handler(LEAVE, self.leave)
        self._loop.add_signal_handler(REPLACE, self._replace)
        for each in NOT_FOR_US:
            # Handled, not ignored: what is ignored stays so in every process that a service starts.
            self._loop.add_signal_handler(each, log.warning, "%s means nothing to stackd", each.name)
        # Thousands of children that end at once fill the pipe through which asyncio hears of signals.
        # That is no loss, since the reaper collects all of them; but to warn of it CPython takes a
        # lock in the signal handler, which deadlocks when the main thread is just holding it.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        # What has come since this program began waits until here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)

    def _shut_down(self, number: signal.Signals) -> None:
        if self._engine.stack.is_shutting_down:
            return
        log.info("%s: stopping all services in order", number.name)
        op = self._server.next_operation()
        self._engine.request(lambda now: self._engine.stack.shut_down(op, now, number.name).actions)
        self._herald.tell()

    def _applied(self, spec: StackSpec) -> None:
        if spec.control != self._spec.control and self._control:
            self._control.become(spec.control)
        self._spec = spec
        self._last_good.keep(spec)
        self._herald.warning = ""
        for service in spec.services:
            self._outputs.retune(service)
        self._herald.tell()

    def leave(self) -> None:
        """End this process, and leave every service running for the next stackd."""
        if not self._engine.stack.is_shutting_down:
            self._give_way(None)

    def _replace(self) -> None:
        """Become the program that is installed now, if that can take over; else go on."""
        if self._replacing is None and not self._engine.stack.is_shutting_down:
            self._replacing = self._loop.create_task(self._try_to_replace())

    async def _try_to_replace(self) -> None:
        # What could not be written down, or was damaged since, is no reason to refuse.
        self._performer.memory.write_all()
        try:
            argv = await self._replacement.rehearse()
            if not self._engine.stack.is_shutting_down:
                log.info("%s: executing %s", REPLACE.name, " ".join(argv))
                self._give_way(self._replacement.prepare(argv))
        except StackError as error:
            log.error("%s", "\n  ".join((error.message, *error.detail, "this stackd goes on")))
        except OSError as error:
            log.error("cannot replace stackd: %s; this stackd goes on", error)
        finally:
            self._replacing = None

    def _give_way(self, successor: Successor | None) -> None:
        if successor:
            # From here to where the new program listens none is lost, and none ends us.
            signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        log.info("leaving; all services go on")
        self._engine.close()
        self._applier.leave()
        self._server.leave()
        if not self._ended.done():
            self._ended.set_result(successor)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    # What the performer tells: on to the server and to systemd.

    def publish(self, change: do.Publish) -> None:
        """A service changed."""
        self._server.publish(change)
        self._herald.tell()

    def tell_awaited(self, order: do.TellAwaited) -> None:
        """A service waits for something else."""
        self._server.tell_awaited(order)

    def finish(self, end: do.Finish) -> None:
        """An operation ended for a service."""
        self._server.finish(end)

    def forget(self, service: str) -> None:
        """A service was removed, and is down."""
        self._watcher.forget(service)
        self._status.forget(service)

    # What the server sends.

    def apply(self, asked: Asked) -> None:
        """The configuration is to be read again."""
        self._applier.ask(asked)

    def send_notice(self, frames: list[bytes]) -> None:
        """To all subscribers, once there can be any."""
        if self._control:
            self._control.send_notice(frames)


def run(spec: StackSpec, environ: MutableMapping[str, str], warning: str = "") -> Successor | None:
    """Run a stack to its end; returns what is to be executed in the place of this program, if anything.

    `warning`: to be shown with the state of the stack, until a changed configuration is applied. Raises
    InUseError and SpawnError before anything was started.
    """
    _make_folder(spec.runtime_dir)
    with Lock(spec.runtime_dir) as lock:
        _make_folder(spec.log_dir)
        return asyncio.run(_serve(spec, environ, warning, lock))


def rehearse(spec: StackSpec) -> tuple[str, ...]:
    """Why this program could not take the place of a running stackd; nothing when it could."""
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    return Archive(spec.runtime_dir).judge()


async def _serve(
    spec: StackSpec, environ: MutableMapping[str, str], warning: str, lock: Lock
) -> Successor | None:
    return await Daemon(spec, environ, warning, lock, asyncio.get_running_loop()).serve()


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise SpawnError(f"cannot make the folder {path}: {error.strerror}") from error
