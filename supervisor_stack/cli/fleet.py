"""A verb for several hosts: each is asked by a stackctl of its own, all at the same time.

So a host that is down delays none, and what a verb does for one host it does for each.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Lock
from typing import IO, Any, NamedTuple

import msgspec

from supervisor_stack.cli import render
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import InterruptError, emit, emit_error, say, say_all, shape_of
from supervisor_stack.cli.shapes import OUTPUTS, Failure, Hosts, HostsFailure
from supervisor_stack.cli.table import GAP, Column, Row, Table
from supervisor_stack.control.parts import ServiceStatus
from supervisor_stack.errors import OperationError, RequestError, StackError

_BY_SEVERITY = (0, 3, 1, 124, 4, 7, 6, 2, InterruptError.exit_code)
"""Exit codes, from what is well to what says least about how it is."""


class Answer(NamedTuple):
    """What the stackctl of a host printed and returned."""

    host: str
    code: int
    out: bytes
    err: bytes

    @property
    def json(self) -> Any:
        """The object of --json."""
        try:
            return msgspec.json.decode(self.out)
        except msgspec.DecodeError:
            told = tuple(self.err.decode(errors="replace").splitlines())
            error = StackError(f"cannot understand the answer of {self.host}", told)
            return msgspec.to_builtins(Failure(error=shape_of(error)))


def carry_out(hosts: Sequence[str], options: Options, words: Sequence[str]) -> int:
    """Have `words` carried out at each of the hosts. Returns the worst of the exit codes."""
    words = without_hosts(words)
    if options.watch:
        raise RequestError("cannot watch several hosts: there is one screen; name one of them")
    if options.follow or OUTPUTS[options.verb].is_stream:
        codes = _stream(hosts, words, options.json, at_once=options.follow)
        if options.json and any(codes):
            failed = (host for host, code in zip(hosts, codes, strict=True) if code)
            emit_error(_failed(dict.fromkeys(failed, "see its last line")))
        return worst(codes)
    if options.verb == "status" and not options.json:
        answers = _ask(hosts, [*words, "--json"])
        _say_table(answers, options.no_color)
    elif options.json:
        answers = _ask(hosts, words)
        _emit({answer.host: answer.json for answer in answers})
    else:
        return worst(_stream(hosts, words, json=False, at_once=False))
    return worst([answer.code for answer in answers])


def _emit(objects: dict[str, Any]) -> None:
    failed = {host: told["error"]["message"] for host, told in objects.items() if not told["ok"]}
    if failed:
        emit(HostsFailure(error=shape_of(_failed(failed)), hosts=objects))
    else:
        emit(Hosts(hosts=objects))


def _failed(causes: Mapping[str, str]) -> OperationError:
    detail = tuple(f"{host}: {cause}" for host, cause in causes.items())
    return OperationError(f"cannot answer for {', '.join(causes)}", detail)


def without_hosts(words: Sequence[str]) -> list[str]:
    """The command line without --host and what comes with it."""
    rest, given = [], iter(words)
    for word in given:
        if word == "--host":
            next(given, None)
        elif not word.startswith("--host="):
            rest.append(word)
    return rest


def worst(codes: Sequence[int]) -> int:
    """The exit code that counts."""
    return max(
        codes, key=lambda code: _BY_SEVERITY.index(code) if code in _BY_SEVERITY else len(_BY_SEVERITY)
    )


@contextmanager
def _started(hosts: Sequence[str], words: Sequence[str]) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A stackctl for each host, which is over when this is. Ctrl-C is for all of them."""
    program = [sys.executable, "-m", "supervisor_stack.cli.stackctl", "--host"]
    running = {
        host: subprocess.Popen(
            [*program, host, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # the terminal tells us alone, and we tell each of them once
        )
        for host in hosts
    }
    try:
        yield running
        for process in running.values():
            process.wait()
    except KeyboardInterrupt:
        for process in running.values():
            process.send_signal(signal.SIGINT)
            process.wait()
        raise


def _ask(hosts: Sequence[str], words: Sequence[str]) -> list[Answer]:
    """What each says, when all have."""
    with ThreadPoolExecutor(len(hosts)) as pool, _started(hosts, words) as running:
        told = list(pool.map(lambda process: process.communicate(), running.values()))
    return [
        Answer(host, process.returncode, *streams)
        for (host, process), streams in zip(running.items(), told, strict=True)
    ]


class _Turns:
    """Whose turn it is to be printed: one host after the other, each when the one before has said all, or
    all of them at once. `streams`: how many of each come to an end."""

    def __init__(self, hosts: Sequence[str], streams: int, at_once: bool) -> None:
        self._left = dict.fromkeys(hosts, streams)
        self._turns = {host: Event() for host in hosts}
        self._next = dict(pairwise(hosts))
        self._lock = Lock()
        for host in hosts if at_once else hosts[:1]:
            self._turns[host].set()

    def wait(self, host: str) -> None:
        """Return when it is the turn of this one."""
        self._turns[host].wait()

    def end(self, host: str) -> None:
        """One of its streams came to its end, in its turn."""
        with self._lock:
            self._left[host] -= 1
            if not self._left[host] and host in self._next:
                self._turns[self._next[host]].set()


def _stream(hosts: Sequence[str], words: Sequence[str], json: bool, at_once: bool) -> list[int]:
    """Print what each says, with its name before each line: that of the first as it says it, and that of each
    other when those before it are done; `at_once`, for what has no end: of all as they say it. Returns the
    exit codes."""
    width = max(map(len, hosts)) + 1
    lock = Lock()
    turns = _Turns(hosts, 2, at_once)

    def pass_on(host: str, lines: IO[bytes], to: IO[bytes], form: Callable[[str, bytes], bytes]) -> None:
        try:
            turns.wait(host)
            for line in lines:
                with lock:
                    to.write(form(host, line))
                    to.flush()
        except BaseException:
            # Nobody reads any more (`| head`), or it cannot be understood: none of them has to go on.
            for process in running.values():
                process.terminate()
            raise
        finally:
            turns.end(host)

    def named(host: str, line: bytes) -> bytes:
        return f"{host + ':':<{width}} ".encode() + line

    def with_host(host: str, line: bytes) -> bytes:
        return msgspec.json.encode({"host": host, **msgspec.json.decode(line)}) + b"\n"

    out, err = sys.stdout.buffer, sys.stderr.buffer
    with ThreadPoolExecutor(2 * len(hosts)) as pool, _started(hosts, words) as running:
        passed = []
        for host, process in running.items():
            if process.stdout and process.stderr:
                passed.append(pool.submit(pass_on, host, process.stdout, out, with_host if json else named))
                passed.append(pool.submit(pass_on, host, process.stderr, err, named))
    for each in passed:
        each.result()
    return [process.returncode for process in running.values()]


def _say_table(answers: Sequence[Answer], no_color: bool) -> None:
    """All services of all hosts; a host that does not answer is a line with the cause. A terminal may cut
    that, so it is told once more below."""
    now = render.utc_now()
    first, *rest = render.STATUS_COLUMNS
    rows: list[Row] = []
    states = []
    causes = []
    for answer in answers:
        told = answer.json
        if told["ok"]:
            services = msgspec.convert(told["services"], list[ServiceStatus])
            states.append(f"{answer.host} {told['stack']['state']}")
            for row in render.status_table(services, now).rows:
                sign, *cells = row.cells
                rows.append(Row(row.tone, (sign, answer.host, *cells)))
        else:
            states.append(f"{answer.host} unknown")
            causes.append(f"{answer.host}: {told['error']['message']}")
            blank = [""] * (len(rest) - 1)
            sign = render.glyph("bad")
            rows.append(Row("bad", (sign, answer.host, *blank, told["error"]["message"])))
    table = Table((first, Column("HOST"), *rest), tuple(rows))
    headline = GAP.join(states)
    if sys.stdout.isatty():
        from supervisor_stack.cli.tty import print_table

        print_table(headline, table, no_color)
        say_all(map(render.harmless, causes))
        return
    say(headline)
    for line in table.lines():
        say(line)
