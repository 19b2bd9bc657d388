"""stackctl explain, blame and graph on what really went wrong under a real stackd."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from supervisor_stack.control.messages import Restart, Stop
from tests.cli.shop import Ran, stackctl
from tests.servers import free_port, wait_until
from tests.stack import RunningStack

ERROR = "[ERROR] Can't create/write to file '/x'"
SLEEP = 'command = ["sleep", "1000"]\n'


def explain(stack: RunningStack, name: str) -> Ran:
    ran = stackctl("-c", stack.config, "explain", name)
    assert ran.err == ""
    return ran._replace(out=ran.out.replace(f"stackctl -c {stack.config}", "stackctl"))


def test_a_chain_of_five_down_to_the_one_that_gave_up(tmp_path: Path) -> None:
    above = "".join(
        f'[services.{name}]\n{SLEEP}requires = ["{need}"]\n'
        for name, need in (("nginx", "uwsgi"), ("uwsgi", "migrate"), ("migrate", "proxy"), ("proxy", "db"))
    )
    script = tmp_path / "db.sh"
    script.write_text(f'echo starting\necho "{ERROR}" >&2\nexit 1\n')
    db = f"""
[services.db]
command = ["sh", "{script}"]
ready = {{type = "tcp", address = "127.0.0.1:{free_port()}"}}
start_limit = {{burst = 2, interval = 60}}
"""
    with RunningStack(tmp_path, above + db) as stack:
        stack.until_state("db", "failed")

        ran = explain(stack, "nginx")

    assert ran.out == (
        "◌ nginx is waiting: needs uwsgi\n"
        "  ◌ uwsgi is waiting: needs migrate\n"
        "    ◌ migrate is waiting: needs proxy\n"
        "      ◌ proxy is waiting: needs db\n"
        f"        ✗ db failed: gave up after 2 failures in 60 s: exit status 1: {ERROR}\n"
        "          | starting\n"
        f"          | {ERROR}\n"
        "          next: nothing until you ask\n"
        "          type: stackctl start db\n"
    )
    assert ran.code == 3


def test_a_start_under_way_tells_what_its_probe_was_answered(tmp_path: Path) -> None:
    port = free_port()
    web = f'[services.web]\n{SLEEP}ready = {{type = "tcp", address = "127.0.0.1:{port}"}}\n'
    with RunningStack(tmp_path, web) as stack:
        # The answer of a probe is no notice.
        wait_until(lambda: "refused" in stack.service("web").reason, "its probe was refused")

        ran = explain(stack, "web")

    first, *rest = ran.out.splitlines()
    assert first.startswith("◌ web is starting, for ")
    assert f"127.0.0.1:{port}" in first
    assert any(line.startswith("  next, in ") and "gives up this start" in line for line in rest)
    assert ran.code == 3


def test_backoff_tells_when_it_is_tried_again(tmp_path: Path) -> None:
    web = (
        '[services.web]\ncommand = ["sh", "-c", "exit 3"]\nready = {type = "tcp", address = "127.0.0.1:1"}\n'
        "backoff = {initial = 600, max = 600}\n"
    )
    with RunningStack(tmp_path, web) as stack:
        stack.until_state("web", "backoff")

        ran = explain(stack, "web")

    assert ran.out.startswith("✗ web failed 2 times in a row and is tried again: exit status 3\n")
    assert "  next, in 1" in ran.out or "  next, in 9m" in ran.out
    assert "  type: stackctl start web\n" in ran.out


def test_stopped_by_somebody_and_never_started_differ(tmp_path: Path) -> None:
    two = f"[services.web]\n{SLEEP}[services.idle]\n{SLEEP}autostart = false\n"
    with RunningStack(tmp_path, two) as stack:
        stack.until_up()
        assert stack.operate(Stop(services=("web",))).ok

        stopped, idle = explain(stack, "web"), explain(stack, "idle")

    me = pwd.getpwuid(os.geteuid()).pw_name
    assert stopped.out.startswith(f"○ web is stopped: {me} asked for it at 2")
    assert idle.out.startswith("○ idle was not started: autostart = false, and nobody asked for it\n")
    assert (stopped.code, idle.code) == (3, 3)


def test_a_crash_of_what_it_needs_leaves_it_running(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    two = (
        f'[services.db]\ncommand = ["sh", "-c", "test ! -e {dead} || exit 1; exec sleep 1000"]\n'
        "backoff = {initial = 600, max = 600}\n"
        f'[services.web]\n{SLEEP}requires = ["db"]\n'
    )
    with RunningStack(tmp_path, two) as stack:
        stack.until_up()
        dead.touch()
        stack.kill("db")
        stack.until_state("db", "backoff")

        ran = explain(stack, "web")

    assert "  it goes on without db meanwhile\n" in ran.out
    assert "  ✗ db failed 2 times in a row and is tried again: exit status 1\n" in ran.out
    assert ran.code == 0


def test_a_stop_that_is_stuck_and_who_waits_for_it(tmp_path: Path) -> None:
    two = (
        f"[services.db]\n{SLEEP}"
        '[services.web]\ncommand = ["sh", "-c", "trap : TERM; while :; do sleep 0.1; done"]\n'
        'requires = ["db"]\nkill = false\nstop_timeout = 0.2\n'
    )
    with RunningStack(tmp_path, two) as stack:
        stack.until_up()
        next(stack.client.operate(Stop(services=("db",), cascade=True)))
        try:
            stack.until(lambda: "did not stop" in stack.service("web").reason, "web is found stuck")
            ran = explain(stack, "db")
        finally:
            stack.kill("web")

    first, second, *rest = ran.out.splitlines()
    assert first == "● db is to be stopped, and waits: first web has to stop"
    assert second.startswith("  ◌ web should have stopped, for ")
    assert "did not stop within 0.2 s of SIGTERM" in second
    assert rest[-1] == "    type: stackctl stop web"


def test_one_that_hangs_and_does_not_go(tmp_path: Path) -> None:
    web = (
        '[services.web]\ncommand = ["sh", "-c", "trap : TERM; while :; do sleep 0.1; done"]\n'
        'alive = {type = "exec", command = ["false"], interval = 0.05, failures = 2}\nstop_timeout = 600\n'
    )
    with RunningStack(tmp_path, web) as stack:
        stack.until_state("web", "stopping")
        try:
            ran = explain(stack, "web")
        finally:
            next(stack.client.operate(Stop()))  # so that it does not come back
            stack.kill("web")

    first, *rest = ran.out.splitlines()
    assert first.startswith("◌ web is stopping, for ")
    assert "hung: " in first
    assert "(2 alive probes in a row)" in first
    assert rest[0].startswith("  next, in ")
    assert rest[0].endswith(": ends it with SIGKILL")


def test_a_task_that_is_done(tmp_path: Path) -> None:
    with RunningStack(tmp_path, '[services.migrate]\ntype = "task"\ncommand = ["true"]\n') as stack:
        stack.until_up()

        ran = explain(stack, "migrate")

    assert ran.out.startswith("○ migrate is done, for ")
    assert ran.code == 0


def test_why_it_runs_after_a_restart(tmp_path: Path) -> None:
    two = f'[services.db]\n{SLEEP}[services.web]\n{SLEEP}requires = ["db"]\n'
    with RunningStack(tmp_path, two) as stack:
        stack.until_up()
        assert "waited " in explain(stack, "web").out
        assert stack.operate(Restart(services=("web",))).ok

        ran = explain(stack, "web")

    assert "  the run before ended " in ran.out
    assert "waited " not in ran.out
    assert ran.code == 0
