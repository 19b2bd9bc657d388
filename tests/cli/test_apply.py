"""apply: the plan on stdout, progress and errors on stderr, exit codes; by script and with a real stackd."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.control.messages import (
    Accepted,
    Apply,
    Failed,
    Finished,
    PlanReply,
    Progress,
)
from supervisor_stack.control.parts import Outcome
from supervisor_stack.control.plans import Change, KeyChange, Plan
from tests.cli.shop import DEADLINE, STACKCTL, Ran, Shop, environment, stackctl
from tests.cli.terminal import plain, stackctl_on_terminal
from tests.peer import Peer
from tests.stack import HEAD, RunningStack

SOURCE = "/etc/stackd/stackd.toml"
SAME = Plan(source=SOURCE)
PLAN = Plan(
    source=SOURCE,
    changes=(
        Change(
            what="changed",
            service="",
            keys=(KeyChange(key="control.group", before=None, after="web"),),
            effect="none",
            why="nothing restarts: control.group counts from the next start of stackd",
        ),
        Change(
            what="changed",
            service="app",
            keys=(
                KeyChange(key="env.TOKEN", before="", after="", hidden=True),
                KeyChange(key="env.NEW", before=None, after="", hidden=True),
                KeyChange(key="env.OLD", before="", after=None, hidden=True),
                KeyChange(key="log.keep", before="5", after="3"),
            ),
            effect="restart",
            why="restarts: env.TOKEN, env.NEW, env.OLD changed",
        ),
        Change(what="unchanged", service="db", keys=(), effect="start", why="starts: worker needs it"),
        Change(
            what="removed",
            service="old",
            keys=(KeyChange(key="command", before="sleep 1", after=None),),
            effect="stop",
            why="stops (removed)",
        ),
        Change(
            what="added",
            service="worker",
            keys=(KeyChange(key="command", before=None, after="sleep 2"),),
            effect="start",
            why="starts (new)",
        ),
    ),
)
LINES = """\
~  control.group: not set -> web
    nothing restarts: control.group counts from the next start of stackd
~  app  env.TOKEN changed, env.NEW added, env.OLD removed, log.keep: 5 -> 3
    restarts: env.TOKEN, env.NEW, env.OLD changed
=  db  as it is
    starts: worker needs it
-  old  command: sleep 1
    stops (removed)
+  worker  command: sleep 2
    starts (new)
"""
NARROW = """\
~  control.group: not set -> web
    nothing restarts: control.group
        counts from the next start of
        stackd
~  app  env.TOKEN changed, env.NEW
        added, env.OLD removed,
        log.keep: 5 -> 3
    restarts: env.TOKEN, env.NEW,
        env.OLD changed
=  db  as it is
    starts: worker needs it
-  old  command: sleep 1
    stops (removed)
+  worker  command: sleep 2
    starts (new)
"""
SERVICES = ("app", "db", "old", "worker")
ACCEPTED = Accepted(op=17, services=SERVICES, plan=PLAN)
GOOD = Finished(
    op=17,
    ok=True,
    outcomes=tuple(
        Outcome(service=name, state="stopped" if name == "old" else "running") for name in SERVICES
    ),
)
NOTHING = f"nothing differs: stackd runs what {SOURCE} says\n"


@pytest.mark.parametrize(("plan", "code", "out", "err"), [(SAME, 0, "", NOTHING), (PLAN, 1, LINES, "")])
def test_a_plan_is_two_lines_for_each_change_and_the_code_tells_whether_there_is_one(
    peer: Peer, shop: Shop, plan: Plan, code: int, out: str, err: str
) -> None:
    shop.operation = (PlanReply(plan=plan),)

    assert stackctl("--socket", peer.endpoint, "apply", "--plan") == (code, out, err)
    assert peer.requests == [Apply(id="1", plan=True)]


@pytest.mark.parametrize(("plan", "code"), [(SAME, 0), (PLAN, 1)])
def test_a_plan_in_json_is_typed_objects(peer: Peer, shop: Shop, plan: Plan, code: int) -> None:
    shop.operation = (PlanReply(plan=plan),)

    ran = stackctl("--json", "--socket", peer.endpoint, "apply", "--plan")

    assert (ran.code, ran.err) == (code, "")
    assert ran.json["ok"] is True
    assert ran.json["plan"]["source"] == SOURCE
    assert len(ran.json["plan"]["changes"]) == len(plan.changes)
    if plan.changes:
        assert ran.json["plan"]["changes"][1]["keys"][3] == {
            "key": "log.keep", "before": "5", "after": "3", "hidden": False,
        }  # fmt: skip


def test_the_plan_is_data_and_progress_is_talk(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED, Progress(op=17, service="app", state="stopping"), GOOD)

    ran = stackctl("--socket", peer.endpoint, "apply")

    assert (ran.code, ran.out) == (0, LINES)
    assert ran.err.splitlines()[0].split() == ["app", "stopping"]
    assert peer.requests == [Apply(id="1")]


def test_nothing_to_apply_is_success(peer: Peer, shop: Shop) -> None:
    shop.operation = (
        Accepted(op=17, services=(), plan=SAME),
        Finished(op=17, ok=True, outcomes=()),
    )  # fmt: skip

    assert stackctl("--socket", peer.endpoint, "apply") == (0, "", NOTHING)
    ran = stackctl("--socket", peer.endpoint, "apply", "--json")
    assert ran.json == {
        "v": 1, "ok": True, "op": 17, "plan": {"source": SOURCE, "changes": []}, "services": [],
    }  # fmt: skip


def test_without_waiting_the_plan_is_all(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED,)

    assert stackctl("--socket", peer.endpoint, "apply", "--no-wait") == (0, LINES, "")
    ran = stackctl("--socket", peer.endpoint, "apply", "--no-wait", "--json")
    assert (ran.json["services"], len(ran.json["plan"]["changes"])) == (list(SERVICES), 5)


def test_a_time_that_is_over_is_124_and_the_plan_was_shown(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED,)

    ran = stackctl("--socket", peer.endpoint, "apply", "--timeout", "0.2")

    assert (ran.code, ran.out) == (124, LINES)
    assert ran.err == (
        "stackctl: cannot apply the configuration: not done within 0.2 s\n  stackd goes on with it.\n"
    )


def test_a_bad_file_is_6_with_all_its_mistakes(peer: Peer, shop: Shop) -> None:
    message, mistakes = f"cannot use the configuration {SOURCE}: 1 mistake", (f"{SOURCE}:3: a: b; c",)
    shop.operation = (
        Failed(error="config-invalid", message=message, detail=(*mistakes, "nothing was changed.")),
    )  # fmt: skip

    for words in (("apply",), ("apply", "--plan")):
        ran = stackctl("--socket", peer.endpoint, *words)
        assert ran == (6, "", f"stackctl: {message}\n  {mistakes[0]}\n  nothing was changed.\n")


def test_a_failure_tells_what_was_done_to_whom_and_what_is_true_now(peer: Peer, shop: Shop) -> None:
    outcomes = (
        Outcome(service="app", state="backoff", error="exit status 3", detail=("so wrong",)),
        *GOOD.outcomes[1:2],
        Outcome(service="old", state="stopping", error="it refuses to stop: disk full"),
        *GOOD.outcomes[3:],
    )
    shop.operation = (ACCEPTED, Finished(op=17, ok=False, outcomes=outcomes))

    ran = stackctl("--socket", peer.endpoint, "apply")

    assert ran.code == 1
    *told, last = ran.err.splitlines()[4:]
    assert told == [
        "stackctl: cannot restart app: exit status 3",
        "  so wrong",
        f"  {SOURCE} is in effect: correct it and apply it once more.",
        f"  see: stackctl --socket {peer.endpoint} logs app -n 50",
        f"  see: stackctl --socket {peer.endpoint} explain app",
        "stackctl: cannot stop old: it refuses to stop: disk full",
        f"  old is not part of {SOURCE} any more, and is forgotten when it is down.",
        f"  see: stackctl --socket {peer.endpoint} status old",
    ]
    assert (last[:17], last[-17:]) == ("2 of 4 applied in", ", failed: app, old"[-17:])
    ran = stackctl("--socket", peer.endpoint, "apply", "--json")
    assert ran.code == 1
    assert ran.json["error"]["message"] == "cannot apply the configuration: 2 services failed"
    assert ran.json["plan"]["source"] == SOURCE
    assert len(ran.json["services"]) == 4


def test_ctrl_c_leaves_stackd_to_it(peer: Peer, shop: Shop) -> None:
    shop.operation = (ACCEPTED,)
    words = [*STACKCTL, "--socket", peer.endpoint, "apply"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("~  control.group")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 130
    assert "stackd goes on with it: apply the configuration" in err


def test_on_a_terminal_the_signs_have_colours_and_lines_are_broken_between_words(
    peer: Peer, shop: Shop
) -> None:
    shop.operation = (PlanReply(plan=PLAN),)
    words = ("--socket", peer.endpoint, "apply", "--plan")

    ran = stackctl_on_terminal(*words, columns=40)

    assert (ran.code, plain(ran.out)) == (1, NARROW)
    assert "\x1b[32m+" in ran.out
    assert "\x1b[31m-" in ran.out
    for options, changes in (
        (("--no-color",), {}),
        ((), {"NO_COLOR": "1"}),
        ((), {"TERM": "dumb"}),
    ):
        assert stackctl_on_terminal(*words, *options, changes=changes).out == LINES


# With a real stackd.

ONE = "[services.one]\ncommand = ['sleep', '1000']\n"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        yield stack


def apply(stack: RunningStack, toml: str, *words: str) -> Ran:
    stack.config.write_text(HEAD.format(run=stack.run_dir, log=stack.log_dir) + toml)
    return stackctl("-c", stack.config, "apply", *words)


def test_a_day_of_changes(stack: RunningStack) -> None:
    pid = stack.pid_of("one")
    sleep = stack.service("one").detail
    assert sleep
    program = sleep.command[0]
    limit = ONE + "log.max_bytes = '10MiB'\n"

    looked = apply(stack, limit, "--plan")
    assert looked.code == 1
    assert looked.out == (
        "~  one  log.max_bytes: 50MiB -> 10MiB\n"
        "    nothing restarts: log.max_bytes is taken up at once\n"
    )  # fmt: skip
    assert apply(stack, limit) == (0, looked.out, "")
    assert apply(stack, limit).code == apply(stack, limit, "--plan").code == 0
    assert stack.pid_of("one") == pid

    two = apply(stack, limit + "[services.two]\ncommand = ['sleep', '2']\nrequires = ['one']\n")
    assert (two.code, two.out) == (0, f"+  two  command: {program} 2\n    starts (new)\n")
    assert two.err.splitlines()[-2].split() == ["two", "running"]
    assert two.err.splitlines()[-1].startswith("two applied in ")
    other = apply(stack, limit.replace("1000", "1001"))
    assert other.out == (
        f"~  one  command: {program} 1000 -> {program} 1001\n"
        "    restarts: command changed\n"
        f"-  two  command: {program} 2\n"
        "    stops (removed)\n"
    )
    assert stack.pid_of("one") != pid
    assert [service.name for service in stack.status().services] == ["one"]


def test_a_file_that_does_not_even_tell_where_stackd_listens_changes_nothing(stack: RunningStack) -> None:
    stack.config.write_text("[stack\n")

    ran = stackctl("-c", stack.config, "apply")

    assert ran.code == 6
    assert ran.err.endswith(
        "column 7: the name of a table is not closed; write [NAME]\n  nothing was changed.\n"
    )
    assert stack.service("one").run == 1


def test_secrets_reach_neither_the_terminal_nor_the_log(stack: RunningStack) -> None:
    ran = apply(stack, ONE + "env = {DATABASE_URL = 'mysql://s3cret'}\n")
    again = apply(stack, ONE + "env = {DATABASE_URL = 'mysql://s3cret2'}\n", "--json")

    assert ran.out.startswith("~  one  env.DATABASE_URL added\n    restarts: env.DATABASE_URL changed\n")
    assert again.json["plan"]["changes"][0]["keys"][0] == {
        "key": "env.DATABASE_URL", "before": "", "after": "", "hidden": True,
    }  # fmt: skip
    assert "s3cret" not in ran.out + ran.err + again.out + stack.output.read_text()
