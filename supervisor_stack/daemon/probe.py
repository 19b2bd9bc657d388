"""Readiness: ask each service until it answers its own protocol; then ask on whether it still does.

A socket that stackd holds open accepts connections while nobody is there to serve them, and Redis
listens before it has loaded its data: a connection proves nothing, an answer does. What comes after
readiness is in alive.py.

It must never block the loop, start a thread, make a process by itself, or outlive `stop`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

from supervisor_stack.core.events import BecameReady, Event, ProbeFailed
from supervisor_stack.core.moves.endings import describe_exit
from supervisor_stack.daemon import alive
from supervisor_stack.daemon.answers import LastAnswers
from supervisor_stack.daemon.proc import descendants
from supervisor_stack.daemon.protocols import hangup, http, mysql, redis, uwsgi
from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import Connection, reason
from supervisor_stack.daemon.text import printable
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, ProbeSpec, ProbeType

# Runs a command for at most so many seconds and returns its exit status (minus the signal, if one
# ended it) and what it printed. Raises SpawnError, and TimeoutError when it had to be killed; when
# cancelled it kills the command.
RunCommand = Callable[[tuple[str, ...], float], Awaitable[tuple[int, str]]]

# Most services are ready within a second, and what is asked until then is mostly refused at once, at a
# cost of some 0.1 ms. So the first second is asked eagerly: readiness is noticed a few ms after the
# fact, and every dependent starts that much earlier. Later it is asked every `interval`, and from the
# beginning where somebody has written down which.
FIRST_PAUSE: Final = 0.001
GROWTH: Final = 1.3
EAGER_TIME: Final = 1.0
EAGER_PAUSE: Final = 0.005

# Progress is told no more often than this: a loading Redis comes nearer with each chunk that it reads.
PROGRESS_PAUSE: Final = 0.25


async def _connected(_connection: Connection, _spec: ProbeSpec) -> Answer:
    return Answer()


PROTOCOLS: Final[dict[ProbeType, Callable[[Connection, ProbeSpec], Awaitable[Answer]]]] = {
    "tcp": _connected,
    "unix": _connected,
    "http": http.ask,
    "mysql": mysql.ask,
    "redis": redis.ask,
    "uwsgi": uwsgi.ask,
    "hangup": hangup.ask,
}

# Answers that do not change however long one waits: uWSGI does not try again to load an application.
HOPELESS: Final = frozenset({uwsgi.BROKEN})

# Those that end an answer by closing; the others wait for the client to leave.
SERVER_CLOSES: Final[frozenset[ProbeType]] = frozenset({"http", "uwsgi"})


async def ask(spec: ProbeSpec, address: Address | None, *, run_command: RunCommand) -> str:
    """Ask once. Returns an empty string when the service is ready, else a sentence that says why not.

    `address` is where to ask when the probe itself names none. Takes at most `spec.timeout` seconds,
    and a moment more for a server that is ready and still sends its page.
    """
    return (await question(spec, address, run_command=run_command)).words


async def question(spec: ProbeSpec, address: Address | None, *, run_command: RunCommand) -> Answer:
    """As `ask`, with all that came of it."""
    if spec.type == "notify":
        return Answer("waits for READY=1", heard=False)
    if spec.type == "process":
        return Answer()  # there is nobody to ask: alive.py looks at it
    if spec.type == "exec":
        return await _ask_command(spec, run_command)
    target = spec.address or address
    if target is None:
        return Answer("its configuration names no address to ask", heard=False)
    return await _ask_server(spec, target.dial, run_command)


async def _ask_server(spec: ProbeSpec, address: Address, run_command: RunCommand) -> Answer:
    connection = None
    try:
        async with asyncio.timeout(spec.timeout):
            connection = await _connect(address, spec, run_command)
            answer = await PROTOCOLS[spec.type](connection, spec)
        if spec.type in SERVER_CLOSES:
            await connection.farewell()
    except TimeoutError:
        return Answer(f"{address}: no answer within {spec.timeout:g} s", heard=False)
    except OSError as err:
        return Answer(f"{address}: {reason(err)}", heard=connection is not None)
    except SpawnError as err:
        return Answer(err.message, heard=False)
    finally:
        if connection is not None:
            connection.close()
    return answer


async def _connect(address: Address, spec: ProbeSpec, run_command: RunCommand) -> Connection:
    if address.path:
        return await Connection.to(address)
    refusal: OSError | None = None
    for host in await _look_up(address.host, spec, run_command):
        try:
            return await Connection.to(Address(host=host, port=address.port))
        except OSError as err:
            refusal = refusal or err
    raise refusal or OSError(f"cannot look up {address.host}: no such host")


async def _look_up(host: str, spec: ProbeSpec, run_command: RunCommand) -> tuple[str, ...]:
    if _is_numeric(host):
        return (host,)
    if host == "localhost":
        return ("127.0.0.1", "::1")
    # getaddrinfo(3) may block for as long as a name server is silent, and asyncio would run it in a
    # thread that cannot be cancelled. getent(1) is the same lookup in a process that can be killed.
    _, output = await run_command(("getent", "ahosts", host), spec.timeout)
    first_words = (line.split(maxsplit=1)[0] for line in output.splitlines() if line.strip())
    return tuple(dict.fromkeys(word for word in first_words if _is_numeric(word)))


def _is_numeric(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            return bool(socket.inet_pton(family, host))
    return False


async def _ask_command(spec: ProbeSpec, run_command: RunCommand) -> Answer:
    try:
        async with asyncio.timeout(spec.timeout):
            status, output = await run_command(spec.command, spec.timeout)
    except TimeoutError:
        return Answer(f"{spec.command[0]}: no answer within {spec.timeout:g} s", heard=False)
    except SpawnError as err:
        return Answer(err.message, heard=False)
    if status == 0:
        return Answer()
    last_words = printable(output.rstrip().rpartition("\n")[2].strip())
    told = f"{spec.command[0]}: {describe_exit(status)}{': ' if last_words else ''}{last_words}"
    return Answer(told, heard=False)


class Prober:
    """Asks every service that was started: until it is ready, or whether it still answers.

    `answers`: what came of it last, for whoever wants to see it.
    """

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self.answers = LastAnswers(asyncio.get_running_loop().time)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(
        self,
        service: str,
        run: int,
        spec: ProbeSpec,
        address: Address | None,
        run_command: RunCommand,
        beside: int | None = None,
    ) -> None:
        """Ask on behalf of this run until it is ready; commands are run by `run_command`.

        Posts ProbeFailed whenever the answer changes or the service comes nearer, and BecameReady once,
        and then stops. For a service that tells by itself (`notify`) it posts nothing. `beside` is the
        main process of a run that begins while another one serves at the same address: nobody is asked
        before it has a worker, as only the workers of the other run could answer.
        """
        self.stop(service)
        if spec.type == "notify":
            return

        async def attempt() -> Answer:
            if beside is not None and not descendants(beside):
                return Answer("it has no worker yet", heard=False)
            return await question(spec, address, run_command=run_command)

        self._begin(service, self._ask_until_ready(service, run, spec, attempt))

    def watch(
        self,
        service: str,
        run: int,
        spec: ProbeSpec,
        address: Address | None,
        pid: int | None,
        run_command: RunCommand,
    ) -> None:
        """Ask on behalf of this run every `spec.interval` seconds, whether it still answers.

        Posts AliveMissed each time that it does not, and AliveAnswered when it does again. `pid`: its
        main process, which must not be stopped by a signal either.
        """
        self.stop(service)
        attempt = partial(question, spec, address, run_command=run_command)
        note = partial(self.answers.note, service, "alive", run)
        self._begin(service, alive.watch(service, run, spec, pid, attempt, self._post, note))

    def stop(self, service: str) -> None:
        """Stop asking, whatever was asked; nothing is posted for the service after this."""
        if task := self._tasks.pop(service, None):
            task.cancel()

    def _begin(self, service: str, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(asking, name=f"probe {service}")
        self._tasks[service] = task
        task.add_done_callback(partial(self._forget, service))

    def _forget(self, service: str, task: asyncio.Task[None]) -> None:
        # With its last reference gone, a task that met a bug has asyncio log the traceback now.
        if self._tasks.get(service) is task:
            del self._tasks[service]

    async def _ask_until_ready(
        self, service: str, run: int, spec: ProbeSpec, attempt: Callable[[], Awaitable[Answer]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        pause = FIRST_PAUSE if spec.eager else spec.interval
        told = Answer()
        told_at = started
        while True:
            asked = clock()
            answer = await attempt()
            self.answers.note(service, "ready", run, not answer.words, answer.words)
            if not answer.words:
                self._post(BecameReady(service=service, run=run))
                return
            progress = answer.loaded > told.loaded
            if answer.words != told.words or (progress and asked - told_at >= PROGRESS_PAUSE):
                self._post(
                    ProbeFailed(
                        service=service,
                        run=run,
                        answer=answer.words,
                        hopeless=answer.words in HOPELESS,
                        progress=progress,
                    )
                )
                told, told_at = answer, asked
            is_eager = spec.eager and asked - started < EAGER_TIME
            longest = min(spec.interval, EAGER_PAUSE) if is_eager else spec.interval
            # A command takes the processor away from the very service that it asks about, so it may run
            # for half of the time at most. A connection only waits.
            effort = clock() - asked if spec.type == "exec" else 0.0
            await asyncio.sleep(min(max(pause, effort), spec.interval))
            pause = min(pause * GROWTH, longest)
