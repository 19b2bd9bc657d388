"""A main process is killed at every step of a start, a stop, a reload and a restart; then many times."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from supervisor_stack.control.messages import Notice, Reload, Restart, Start, Stop
from supervisor_stack.errors import RefusedError
from tests.servers import free_port, program, wait_until
from tests.stack import RunningStack, is_alive

NAMES = ("redis", "nginx", "app")

Verb = Start | Stop | Reload | Restart
VERBS: dict[str, tuple[Verb, str]] = {
    "start": (Start(), "running"),
    "stop": (Stop(), "stopped"),
    "reload": (Reload(services=("nginx",)), "running"),
    "restart": (Restart(services=("nginx",)), "running"),
    "hard restart": (Restart(hard=True), "running"),
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    """Redis, nginx and a command, stopped."""
    redis, http = free_port(), free_port()
    (tmp_path / "redis.conf").write_text(f"port {redis}\nbind 127.0.0.1\ndir {tmp_path}\nsave ''\n")
    temporary = "".join(
        f"  {name}_temp_path {tmp_path}/temp;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"user {getpass.getuser()};\npid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{\n{temporary}  access_log off;\n"
        f"  server {{ listen 127.0.0.1:{http}; return 200; }}\n}}\n"
    )
    toml = f"""
[services.redis]
kind = "redis"
config = "redis.conf"
autostart = false
start_limit = {{ burst = 1000 }}
backoff = {{ max = "1ms", initial = "1ms" }}
[services.nginx]
kind = "nginx"
config = "nginx.conf"
binary = "{program("nginx")}"
args = ["-e", "{tmp_path}/error.log"]
requires = ["redis"]
autostart = false
start_limit = {{ burst = 1000 }}
backoff = {{ max = "1ms", initial = "1ms" }}
[services.app]
command = ["sleep", "1000"]
requires = ["redis"]
autostart = false
start_limit = {{ burst = 1000 }}
backoff = {{ max = "1ms", initial = "1ms" }}
"""
    with RunningStack(tmp_path, toml) as running:
        yield running


def prepare(stack: RunningStack, verb: str) -> None:
    """As it has to be before the verb: everything stopped, or everything up, with no older runs."""
    assert stack.operate(Stop()).ok
    if verb != "start":
        assert stack.operate(Start()).ok


def carry_out(stack: RunningStack, request: Verb, end: str, seen: Callable[[Notice], None]) -> None:
    """Ask for it, and show every notice until all services are where they should be."""
    seq = stack.status().seq
    try:
        next(stack.client.operate(request, timeout=30))
    except RefusedError:
        return  # nginx was killed before it could be asked to reload
    for notice in stack.client.subscribe(since=seq, timeout=30):
        seen(notice)
        if all(stack.service(name).state == end for name in NAMES):
            return


@pytest.mark.parametrize("verb", VERBS)
def test_a_kill_at_any_step_changes_nothing_about_the_end(stack: RunningStack, verb: str) -> None:
    request, end = VERBS[verb]
    steps: list[Notice] = []
    prepare(stack, verb)
    carry_out(stack, request, end, steps.append)
    assert steps

    for number in range(len(steps)):
        prepare(stack, verb)
        count = iter(range(1000))

        def kill(_: Notice, number: int = number, count: Iterator[int] = count) -> None:
            if next(count) == number:
                for name in NAMES:
                    pid = stack.service(name).pid
                    if pid is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)

        carry_out(stack, request, end, kill)
        for name in NAMES:
            stack.until_state(name, end)
        until_only_the_stack_is_there(stack)


def until_only_the_stack_is_there(stack: RunningStack) -> None:
    """Every process below stackd belongs to the present run of a service."""

    def alone() -> bool:
        known: set[int] = set()
        for name in NAMES:
            service = stack.service(name)
            if service.detail is None or service.detail.other_runs:
                return False
            if service.pid:
                try:
                    below = psutil.Process(service.pid).children(True)
                except psutil.NoSuchProcess:
                    return False  # it was the last one to be killed, and stackd did not know yet
                known |= {service.pid, *(each.pid for each in below)}
        return {process.pid for process in stack.descendants() if is_alive(process.pid)} <= known

    try:
        wait_until(alone, "nothing is there but the stack")
    except AssertionError as failure:
        there = [" ".join(process.cmdline()) for process in stack.descendants()]
        failure.add_note("\n".join((stack.output.read_text()[-5000:], *there)))
        raise


def test_three_hundred_kills_leave_no_more_behind_than_ten_did(stack: RunningStack) -> None:
    assert stack.operate(Start()).ok
    daemon = psutil.Process(stack.pid)

    def kill(times: int) -> tuple[int, int, int, int]:
        for number in range(times):
            name = NAMES[number % len(NAMES)]
            run = stack.service(name).run
            stack.kill(name)
            stack.until_run(name, run + 1)
        until_only_the_stack_is_there(stack)
        return (
            daemon.num_fds(),
            daemon.num_threads(),
            len(daemon.children(recursive=True)),
            daemon.memory_info().rss,
        )

    kill(110)  # until imports and caches are there, and stackd remembers as many notices as it ever does
    fds, threads, processes, memory = kill(10)
    *later, memory_later = kill(300)

    assert later == [fds, threads, processes]
    # A leak of 4 KiB a kill would be 1.2 MB.
    assert memory_later - memory < 1024 * 1024


def test_a_crash_loop_ends_with_the_reason_and_a_start_brings_it_back(tmp_path: Path) -> None:
    flag = tmp_path / "broken"
    flag.write_text("")
    script = f"test ! -e {flag} || {{ echo 'cannot find the teapot' >&2; exit 3; }}; exec sleep 1000"
    toml = f"""
[services.app]
command = ["sh", "-c", "{script}"]
start_limit = {{ burst = 4 }}
backoff = {{ initial = "10ms" }}
"""
    with RunningStack(tmp_path, toml) as stack:
        failed = stack.until_state("app", "failed")
        assert failed.reason.startswith("gave up after 4 failures in 60 s: exit status 3")
        assert "cannot find the teapot" in failed.reason
        flag.unlink()

        assert stack.operate(Start(services=("app",))).ok

        assert stack.service("app").state == "running"
