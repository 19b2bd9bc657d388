"""stackd stands still for a while, or the calendar is set: nobody is judged for what stackd did not see."""

from __future__ import annotations

import ast
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from supervisor_stack.control.messages import Start, Stop
from tests.servers import free_port, wait_until
from tests.stack import RunningStack

# The standstill itself: more than any deadline and any series of probes in these tests.
STANDSTILL = 2.0

COUNTS = """
import http.server, pathlib, sys
asked = 0
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        self.send_response(200)
        self.end_headers()
        pathlib.Path(sys.argv[2]).write_text(str(asked))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""

# READY=1 when there is a file; leaves at once when it is told to.
TELLS = """
import os, pathlib, socket, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
pathlib.Path(sys.argv[2]).touch()
time.sleep(1000)
"""


@contextmanager
def standing_still(stack: RunningStack, least: float = STANDSTILL) -> Iterator[None]:
    """stackd is stopped during the block, and for so many seconds at least."""
    # It answers before it sets its alarm; asleep it has set it.
    wait_until(lambda: "poll" in Path(f"/proc/{stack.pid}/wchan").read_text(), "stackd has nothing to do")
    begun = time.monotonic()
    os.kill(stack.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: psutil.Process(stack.pid).status() == psutil.STATUS_STOPPED, "stackd is stopped")
        yield
        time.sleep(max(0.0, begun + least - time.monotonic()))
    finally:
        os.kill(stack.pid, signal.SIGCONT)


def events(stack: RunningStack, name: str) -> list[str]:
    return [notice.event for notice in stack.history() if notice.service == name]


def test_a_service_that_answers_is_not_called_hung_after_a_standstill(tmp_path: Path) -> None:
    port, asked = free_port(), tmp_path / "asked"
    probe = f"{{type = 'http', address = '127.0.0.1:{port}', interval = '100ms', timeout = '200ms'}}"
    toml = (
        f"[services.app]\ncommand = ['{sys.executable}', '-c', '''{COUNTS}''', '{port}', '{asked}']\n"
        f"ready = {probe}\nalive = {probe}\n"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        wait_until(lambda: count(asked) > 2, "it is asked whether it is alive")
        for _ in range(2):
            with standing_still(stack):
                before = count(asked)
            # More than the three misses that would replace it.
            wait_until(lambda before=before: count(asked) > before + 5, "it is asked again")  # type: ignore[misc]

        assert stack.service("app").run == 1
        assert "AliveMissed" not in events(stack, "app")


def count(path: Path) -> int:
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return 0


def test_alive_probes_do_not_make_up_for_those_that_were_missed(tmp_path: Path) -> None:
    port, asked = free_port(), tmp_path / "asked"
    probe = f"type = 'http', address = '127.0.0.1:{port}'"
    toml = (
        f"[services.app]\ncommand = ['{sys.executable}', '-c', '''{COUNTS}''', '{port}', '{asked}']\n"
        f"ready = {{{probe}}}\nalive = {{{probe}, interval = '500ms'}}\n"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        with standing_still(stack):
            before = count(asked)
        resumed = time.monotonic()
        wait_until(lambda: count(asked) >= before + 3, "it is asked three times more")

        # At once, and then every half second: five at once would be there in no time.
        assert time.monotonic() - resumed > 0.9


def test_a_service_that_got_ready_meanwhile_is_not_too_late(tmp_path: Path) -> None:
    go, told = tmp_path / "go", tmp_path / "told"
    toml = (
        f"[services.app]\ncommand = ['{sys.executable}', '-c', '''{TELLS}''', '{go}', '{told}']\n"
        "ready = {type = 'notify'}\nstart_timeout = '1s'\n"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_state("app", "starting")
        with standing_still(stack):
            go.touch()
            wait_until(told.exists, "it has told that it is ready")
        stack.until_up()

        assert stack.service("app").run == 1
        assert "stood still" in stack.output.read_text()


def test_a_service_that_answers_by_now_is_not_too_late(tmp_path: Path) -> None:
    port = free_port()
    toml = (
        "[services.app]\ncommand = ['sleep', '1000']\nstart_timeout = '1s'\n"
        f"ready = {{type = 'tcp', address = '127.0.0.1:{port}', interval = '100ms'}}\n"
    )
    with RunningStack(tmp_path, toml) as stack, socket.socket() as listener:
        stack.until_state("app", "starting")
        with standing_still(stack):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
        stack.until_up()

        assert stack.service("app").run == 1


def test_a_service_that_left_meanwhile_was_not_killed(tmp_path: Path) -> None:
    script = "trap 'test -e $0 && exit 0' TERM; while :; do sleep 0.01; done"
    leave = tmp_path / "leave"
    toml = f"[services.app]\ncommand = ['sh', '-c', '''{script}''', '{leave}']\nstop_timeout = '1s'\n"
    toml += "stop_signal = 'TERM'\n"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        next(stack.client.operate(Stop(services=("app",))))
        stack.until_state("app", "stopping")
        with standing_still(stack):
            leave.touch()
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "it has left")
        stopped = stack.until_state("app", "stopped")

        assert stopped.reason == ""
        assert "killing" not in [notice.state for notice in stack.history()]


def test_a_deadline_that_nobody_keeps_is_kept_after_a_standstill_too(tmp_path: Path) -> None:
    toml = "[services.app]\ncommand = ['sh', '-c', 'trap : TERM; while :; do sleep 1; done']\n"
    with RunningStack(tmp_path, toml + "stop_timeout = '500ms'\n") as stack:
        stack.until_up()
        next(stack.client.operate(Stop(services=("app",))))
        stack.until_state("app", "stopping")
        with standing_still(stack):
            pass
        stack.until_state("app", "stopped")

        assert "killing" in [notice.state for notice in stack.history()]


def test_backoffs_that_are_over_together_start_each_service_once(tmp_path: Path) -> None:
    names = [f"app{number}" for number in range(8)]
    flag = tmp_path / "well"
    script = f"test -e {flag} && exec sleep 1000; exit 1"
    toml = "".join(
        f"[services.{name}]\ncommand = ['sh', '-c', '{script}']\nstart_limit = {{burst = 1000}}\n"
        "backoff = {initial = '300ms', max = '300ms'}\n"
        for name in names
    )
    with RunningStack(tmp_path, toml) as stack:
        for name in names:
            stack.until_state(name, "backoff")
        with standing_still(stack):
            flag.touch()
        before = {each.name: each.run for each in stack.status().services}
        stack.until_up()

        assert all(stack.service(name).run <= before[name] + 1 for name in names)


# stackd, with a calendar that is as many seconds ahead as a file says. It is that of the machine otherwise,
# which others need.
CALENDAR = """
import pathlib, sys, time
true, ahead = time.time, pathlib.Path(sys.argv.pop(1))
time.time = lambda: true() + float(ahead.read_text())
sys.argv[0] = "stackd"
from supervisor_stack.cli.stackd import main
sys.exit(main())
"""


def test_a_calendar_that_is_set_forward_and_back_changes_nothing_but_the_calendar(tmp_path: Path) -> None:
    port, asked, ahead = free_port(), tmp_path / "asked", tmp_path / "ahead"
    ahead.write_text("0")
    probe = f"{{type = 'http', address = '127.0.0.1:{port}', interval = '100ms', timeout = '200ms'}}"
    toml = (
        f"[services.app]\ncommand = ['{sys.executable}', '-c', '''{COUNTS}''', '{port}', '{asked}']\n"
        f"ready = {probe}\nalive = {probe}\n"
        "[services.later]\ncommand = ['false']\nbackoff = {initial = '20s'}\nautostart = false\n"
    )
    stack = RunningStack(tmp_path, toml)
    with stack.output.open("ab") as output:
        argv = [sys.executable, "-c", CALENDAR, str(ahead), "-c", str(stack.config)]
        process = subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env)
    with stack.attached_to(process):
        stack.until_state("app", "running")
        next(stack.client.operate(Start(services=("later",))))
        runs = stack.until_state("later", "backoff").run
        since = stack.service("app").since
        for seconds in ("3600", "-3600", "0"):
            ahead.write_text(seconds)
            before = count(asked)
            wait_until(lambda before=before: count(asked) > before + 5, "it is asked on")  # type: ignore[misc]
            assert stack.service("later").run == runs
            assert (stack.service("app").since[:13] == since[:13]) == (seconds == "0")

        assert stack.service("app").run == 1


CALENDARS = frozenset({"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"})

SHOWN = frozenset({"daemon/clock.py", "cli/render.py"})
"""Where people are told a time. What is decided is decided by the monotonic clock."""


def test_no_decision_is_taken_by_the_calendar() -> None:
    package = Path(__file__).parents[2] / "supervisor_stack"
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in CALENDARS
    }

    assert found == SHOWN
