"""What a person sees of a real stackd and of real failures, on a real pseudo terminal."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from supervisor_stack.control.parts import Answer
from tests.cli.sessions import session
from tests.cli.shop import Ran, stackctl
from tests.cli.terminal import plain, stackctl_on_terminal
from tests.servers import free_port, wait_until
from tests.stack import RunningStack

SERVICES = """
[services.db]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
ready = {{ type = "http", address = "127.0.0.1:{port}" }}
alive = {{ type = "http", address = "127.0.0.1:{port}", interval = 0.1 }}

[services.workers]
command = ["sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & wait' & wait"]
requires = ["db"]

[services.stubborn]
command = ["sh", "-c", "trap '' TERM; touch {folder}/trapped; while :; do sleep 0.1; done"]
ready = {{ type = "exec", command = ["test", "-e", "{folder}/trapped"] }}
stop_timeout = 1.5
autostart = false

[services.broken]
command = ["sh", "-c", "echo Traceback: >&2; echo 'ImportError: no shop' >&2; exit 1"]
ready = {{ type = "tcp", address = "127.0.0.1:1" }}
backoff = {{ initial = 100, max = 100 }}
autostart = false

[services.late]
command = ["sh", "-c", "echo reading a big table; exec sleep 1000"]
ready = {{ type = "tcp", address = "127.0.0.1:1" }}
start_timeout = 1
restart = "never"
autostart = false

[services.front]
command = ["sleep", "1000"]
requires = ["late"]
autostart = false
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with RunningStack(tmp_path, SERVICES.format(port=free_port(), folder=tmp_path)) as stack:
        stack.until_up()
        yield stack


def ask(stack: RunningStack, *words: str) -> Ran:
    return stackctl("-c", stack.config, *words)


def answers(stack: RunningStack, name: str) -> tuple[Answer, ...]:
    """What its probes were answered last."""
    detail = stack.service(name).detail
    return detail.answers if detail else ()


def on_terminal(stack: RunningStack, *words: str, columns: int = 80) -> tuple[int, str]:
    """The exit code, and what one reads."""
    ran = stackctl_on_terminal("-c", str(stack.config), *words, columns=columns)
    return ran.code, plain(ran.out).replace("\r", "\n")


def test_a_start_that_crashes_tells_all_that_helps(stack: RunningStack) -> None:
    ran = ask(stack, "start", "broken")

    told = ran.err[ran.err.index("stackctl: ") :].splitlines()
    assert told[:3] == [
        "stackctl: cannot start broken: exit status 1: ImportError: no shop",
        "  Traceback:",
        "  ImportError: no shop",
    ]
    assert re.fullmatch(r"  stackd goes on trying; next in 1m \d+s", told[-4])
    assert told[-3:-1] == [
        f"  see: stackctl -c {stack.config} logs broken -n 50",
        f"  see: stackctl -c {stack.config} explain broken",
    ]
    assert re.fullmatch(r"0 of 1 started in \d+\.\d+s, failed: broken", told[-1])
    assert ran.code == 1


def test_the_last_answer_of_a_run_that_crashed_is_told_in_json(stack: RunningStack) -> None:
    (outcome,) = ask(stack, "start", "broken", "--json").json["services"]

    assert outcome["probe"] in ("127.0.0.1:1: connection refused", "")  # it may end before it is asked
    assert outcome["next_retry"] == stack.service("broken").next_retry


def test_the_next_commands_are_commands(stack: RunningStack) -> None:
    err = ask(stack, "start", "broken").err

    for hint in re.findall(r"see: stackctl (.*)", err):
        assert stackctl(*hint.split()).code in (0, 1, 3), hint


def test_a_start_that_takes_too_long_tells_its_last_answer_and_last_words(stack: RunningStack) -> None:
    ran = ask(stack, "start", "front", "late")

    reason = r"not ready within \d\.?\d* s: 127.0.0.1:1: connection refused"
    assert "late   starting   waits for tcp at 127.0.0.1:1: connection refused, given up in 1s\n" in ran.err
    assert re.search(rf"cannot start late: {reason}\n  reading a big table\n", ran.err)
    assert re.search(rf"cannot start front: needs late \(late is failed: {reason}\)\n", ran.err)
    assert ran.err.index("cannot start late") < ran.err.index("cannot start front")
    assert "front  waiting    needs late\n" in ran.err


def test_a_stop_says_what_it_waits_for_and_how_long_it_took(stack: RunningStack) -> None:
    assert ask(stack, "start", "stubborn").code == 0

    code, shown = on_terminal(stack, "stop", "stubborn")

    assert code == 0
    assert re.search(r"◌ stubborn  stopping    \d\.\ds  asked to stop by SIGTERM, killed in \ds\n", shown)
    assert re.search(r"○ stubborn  stopped     [12]\.\ds\n", shown)
    assert re.search(r"\nstubborn stopped in [12]\.\ds\n$", shown)


def test_a_cascade_says_who_goes_first(stack: RunningStack) -> None:
    err = ask(stack, "stop", "--cascade", "db").err.splitlines()

    assert "db       running    waits for workers to stop" in err
    assert any(line.startswith("workers  stopping   asked to stop by SIGTERM, killed in ") for line in err)
    assert err[-1].startswith("workers, db stopped in ") or err[-1].startswith("db, workers stopped in ")


def test_ctrl_c_gives_the_terminal_back_and_the_work_goes_on(stack: RunningStack) -> None:
    assert ask(stack, "start", "stubborn").code == 0

    with session("-c", str(stack.config), "stop", "stubborn") as shown:
        shown.until("SIGTERM")
        shown.process.send_signal(signal.SIGINT)
        code = shown.end()

    assert code == 130
    assert shown.shown.rfind("\x1b[?25h") > shown.shown.rfind("\x1b[?25l")
    assert "stackd goes on with it: stop stubborn" in shown.shown
    stack.until_state("stubborn", "stopped")


def test_the_details_tell_what_the_probes_were_answered(stack: RunningStack) -> None:
    wait_until(lambda: len(answers(stack, "db")) == 2, "db is asked whether it is alive")
    ready, alive = answers(stack, "db")

    assert (ready.probe, ready.run, ready.ok, ready.answer) == ("ready", 1, True, "")
    assert (alive.probe, alive.run, alive.ok, alive.answer) == ("alive", 1, True, "")
    assert alive.time > ready.time
    told = ask(stack, "status", "db").out
    assert re.search(r"     Ready: http 127.0.0.1:\d+\n  answered: well, \d+s ago \(run 1\)\n", told)
    assert re.search(r"     Alive: http .*\n  answered: well, 0s ago \(run 1\)\n", told)


def test_a_hung_service_says_so_in_its_last_answer(stack: RunningStack) -> None:
    stack.kill("db", signal.SIGSTOP)
    wait_until(lambda: not answers(stack, "db")[-1].ok, "db does not answer")

    told = ask(stack, "status", "db").out

    assert re.search(r"  answered: not well, 0s ago \(run 1\): stopped by a signal \(SIGSTOP\)\n", told)


def test_a_run_that_ended_is_still_told_of(stack: RunningStack) -> None:
    ask(stack, "start", "late")

    told = ask(stack, "status", "late").out

    assert re.search(r"  answered: not well, \d+s ago \(run 1\): 127.0.0.1:1: connection refused\n", told)
    assert "   Earlier:\n    run 1 ended " in told
    assert "  Last log:\n    reading a big table\n" in told


def test_processes_stand_below_their_parents(stack: RunningStack) -> None:
    def tree() -> list[str]:
        lines = ask(stack, "status", "workers").out.splitlines()
        begin = next(number for number, line in enumerate(lines) if line.endswith("COMMAND"))
        rows = takewhile(lambda line: re.match(r" +\d+ ", line), lines[begin + 1 :])
        return [re.sub(r"^ +\d+ +\S+ +\S+  ", "", line) for line in rows]

    wait_until(lambda: len(tree()) == 4, "all processes of it are there")

    top, *below = tree()
    assert top.startswith(("sh -c", "/usr/bin/sh -c"))
    assert sorted(below) == sorted(["├─ sleep 1000", "└─ sh -c sleep 1000 & wait", "   └─ sleep 1000"])


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_all_about_a_service_fits_the_terminal(stack: RunningStack, columns: int) -> None:
    ask(stack, "start", "broken")

    for name in ("db", "workers", "broken"):
        _, shown = on_terminal(stack, "status", name, columns=columns)
        assert max(map(len, shown.splitlines())) <= columns
    assert "exit status 1" in shown
    assert "ImportError: no shop" in shown
    table = on_terminal(stack, "status", columns=columns)[1].splitlines()
    assert len(table) == 2 + 6
    assert max(map(len, table)) <= columns
    assert next(line for line in table if "broken" in line).startswith("✗  broken ")


def test_watching_a_real_stack(stack: RunningStack) -> None:
    with session("-c", str(stack.config), "status", "--watch", columns=120) as shown:
        began = shown.until("workers")
        stack.kill("workers")
        shown.until("2", shown.until("workers", began))
        ask(stack, "start", "broken")
        shown.until("ImportError", began)
        shown.process.send_signal(signal.SIGINT)
        assert shown.end() == 130
    assert "\x1b[?1049l" in shown.shown
