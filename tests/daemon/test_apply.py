"""A changed configuration is applied to what runs: what is taken up at once, several who ask together, and
a reading that takes its time."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
import zmq

from supervisor_stack.control.codec import decode_reply, encode_request
from supervisor_stack.control.messages import (
    Accepted,
    AnyReply,
    AnyRequest,
    Apply,
    Failed,
    Finished,
    PlanReply,
    Progress,
    Status,
    StatusReply,
)
from supervisor_stack.control.plans import Plan
from supervisor_stack.daemon.apply import MOST_WAITING
from supervisor_stack.errors import ConfigError
from tests.kinds.nginx_site import write_site
from tests.servers import free_port, wait_until
from tests.stack import DEADLINE, HEAD, RunningStack

ONE = "[services.one]\ncommand = ['sleep', '1000']\n"
TWO = "[services.two]\ncommand = ['sleep', '2000']\n"


def text(stack: RunningStack, toml: str) -> str:
    return HEAD.format(run=stack.run_dir, log=stack.log_dir) + toml


def apply(stack: RunningStack, toml: str) -> tuple[Plan, Finished]:
    """As `stackctl apply` does with this file."""
    stack.config.write_text(text(stack, toml))
    first, *_, last = stack.client.operate(Apply())
    assert isinstance(first, Accepted)
    assert first.plan
    assert isinstance(last, Finished)
    assert set(first.services) == {outcome.service for outcome in last.outcomes}
    return first.plan, last


def effects(plan: Plan) -> dict[str, str]:
    return {change.service: change.effect for change in plan.changes}


# What is taken up at once.


def test_log_limits_and_probes_restart_nothing(tmp_path: Path) -> None:
    alive = tmp_path / "asked"
    with RunningStack(tmp_path, ONE + TWO) as stack:
        stack.until_up()
        pids = stack.pid_of("one"), stack.pid_of("two")

        probes = f"""
            alive = {{type = 'exec', command = ['touch', '{alive}'], interval = 0.05}}
            ready = {{type = 'exec', command = ['true']}}
            """
        plan, end = apply(stack, f"{ONE}log.max_bytes = 9\n{TWO}{probes}")

        assert effects(plan) == {"one": "none", "two": "none"}
        assert (end.ok, end.outcomes) == (True, ())
        wait_until(alive.exists, "the new probe is asked")
        assert (stack.pid_of("one"), stack.pid_of("two")) == pids


def test_a_starting_service_gets_ready_by_its_new_probe(tmp_path: Path) -> None:
    probe = "ready = {{type = 'exec', command = ['{}']}}\n"
    with RunningStack(tmp_path, ONE + probe.format("false")) as stack:
        stack.until_state("one", "starting")
        stack.until(lambda: stack.service("one").pid is not None, "it has a process")
        pid = stack.pid_of("one")

        _, end = apply(stack, ONE + probe.format("true"))

        assert end.ok
        stack.until_up()
        assert stack.pid_of("one") == pid


def test_a_held_socket_that_is_given_up_is_the_servers_own_from_then_on(tmp_path: Path) -> None:
    port = free_port()
    config = write_site(tmp_path, f"server {{ listen 127.0.0.1:{port}; }}")
    nginx = f'[services.web]\nkind = "nginx"\nconfig = "{config}"\n'
    with RunningStack(tmp_path, nginx) as stack:
        stack.until_up()
        assert stack.service("web").detail.held == (f"127.0.0.1:{port}",)  # type: ignore[union-attr]

        _, finished = apply(stack, f"{nginx}hold = []\n")

        assert finished.ok
        web = stack.service("web")
        assert (web.state, web.detail.held) == ("running", ())  # type: ignore[union-attr]


def test_another_server_has_the_address_that_one_gave_up_by_becoming_something_else(tmp_path: Path) -> None:
    port = free_port()
    config = write_site(tmp_path, f"server {{ listen 127.0.0.1:{port}; }}")
    nginx = f'kind = "nginx"\nconfig = "{config}"\n'
    with RunningStack(tmp_path, f"[services.web]\n{nginx}") as stack:
        stack.until_up()

        apply(stack, f'[services.web]\ncommand = ["sleep", "1000"]\n[services.front]\n{nginx}')
        stack.client.wait("front", timeout=DEADLINE)

        assert stack.client.restart("web", timeout=DEADLINE).ok
        detail = stack.service("web").detail
        assert detail
        assert (detail.addresses, detail.logs) == ((), ())


def test_a_renamed_service_waits_for_the_socket_of_the_old_name_and_that_is_no_failure(
    tmp_path: Path,
) -> None:
    slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
    same = f"hold = ['127.0.0.1:{free_port()}']\nstart_limit.burst = 1\ncommand = ['sh', '-c', \"{slow}\"]\n"
    with RunningStack(tmp_path, f"[services.api]\n{same}") as stack:
        stack.until_up()

        apply(stack, f"[services.web-api]\n{same}")

        assert stack.client.wait("web-api", timeout=DEADLINE).services[0].state == "running"


def test_files_are_watched_from_then_on(tmp_path: Path) -> None:
    watched = tmp_path / "settings"
    watched.write_text("1")
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        apply(stack, f"{ONE}watch = {{paths = ['{watched}'], action = 'restart', debounce = 0.01}}\n")
        watched.write_text("2")

        assert stack.until_run("one", 2).run == 2
        apply(stack, ONE)
        detail = stack.service("one").detail
        assert detail
        assert detail.watching == ()


# What fails.


def test_mistakes_are_told_each_with_its_place_and_nothing_is_changed(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        pid = stack.pid_of("one")

        with pytest.raises(ConfigError) as caught:
            apply(stack, ONE.replace("command", "comand") + TWO + "requires = ['three']\n")

        assert caught.value.kind == "config-invalid"
        *mistakes, truth = caught.value.detail
        assert [line.partition(": ")[0] for line in mistakes] == [
            f"{stack.config}:{number}" for number in (7, 10)
        ]
        assert truth == "nothing was changed."
        stack.config.write_text(text(stack, ONE))
        assert plan_of(stack).changes == ()
        assert stack.pid_of("one") == pid


def plan_of(stack: RunningStack) -> Plan:
    return stack.client.request(Apply(plan=True)).plan


def test_another_runtime_dir_is_refused_at_its_line(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        stack.config.write_text(text(stack, ONE).replace(str(stack.run_dir), str(tmp_path / "other")))

        for request in (lambda: plan_of(stack), lambda: list(stack.client.operate(Apply()))):
            with pytest.raises(ConfigError) as caught:
                request()
            told = f"{stack.config}:4: stack.runtime_dir: cannot change while the stack runs; write "
            assert caught.value.detail[0].startswith(told)
            assert caught.value.detail[-1] == "nothing was changed."


def test_what_waits_for_the_next_stackd_is_told_until_then(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        stack.config.write_text(text(stack, ONE).replace('"test"', '"other"'))

        first, second = plan_of(stack), plan_of(stack)

        assert first == second
        (change,) = first.changes
        assert (change.service, change.keys[0].key) == ("", "stack.name")
        stack.die(signal.SIGUSR1)
        stack.come_back()
        assert plan_of(stack).changes == ()
        assert stack.status().stack.name == "other"


def test_another_base_dir_is_taken_up_with_what_it_changes_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with RunningStack(tmp_path, f"{ONE}{TWO}cwd = '/'\n") as stack:
        stack.until_up()
        pid = stack.pid_of("two")
        changed = text(stack, f"{ONE}{TWO}cwd = '/'\n").replace("[stack]", "[stack]\nbase_dir = 'other'")
        stack.config.write_text(changed)

        *_, end = stack.client.operate(Apply())

        assert isinstance(end, Finished)
        assert [outcome.service for outcome in end.outcomes] == ["one"]
        assert Path(f"/proc/{stack.pid_of('one')}/cwd").readlink() == tmp_path / "other"
        assert stack.pid_of("two") == pid
        assert plan_of(stack).changes == ()


def test_a_service_that_does_not_come_up_fails_it_with_its_words(tmp_path: Path) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()

        wrong = "[services.one]\ncommand = ['sh', '-c', 'echo so wrong; exit 3']\nready = {type = 'notify'}\n"
        _, end = apply(stack, wrong)

        (outcome,) = end.outcomes
        assert not end.ok
        assert (outcome.service, outcome.error) == ("one", "exit status 3: so wrong")
        _, end = apply(stack, ONE)  # nobody has to wait for the next try, or to start it by hand
        assert end.ok
        stack.until_up()


# Several who ask, and a reading that takes its time.


def slow(stack: RunningStack) -> None:
    """The configuration is a pipe from now on: a reading takes until somebody has written all of it."""
    stack.config.unlink()
    os.mkfifo(stack.config)


class Asker:
    """A client that sends, and looks for answers later."""

    def __init__(self, stack: RunningStack) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, 30_000)
        self._socket.connect(f"ipc://{stack.run_dir}/control.sock")
        self._heard: deque[AnyReply] = deque()

    def ask(self, request: AnyRequest) -> Self:
        """Returns when stackd has it: what is sent over one connection arrives in order."""
        self._socket.send_multipart(encode_request(request))
        self._socket.send_multipart(encode_request(Status()))
        while not isinstance(reply := self._receive(), StatusReply):
            self._heard.append(reply)
        return self

    def answer(self) -> AnyReply:
        return self._heard.popleft() if self._heard else self._receive()

    def _receive(self) -> AnyReply:
        return decode_reply(self._socket.recv_multipart())

    def effects(self) -> dict[str, str]:
        """Of the plan that is answered."""
        reply = self.answer()
        assert isinstance(reply, Accepted | PlanReply)
        assert reply.plan
        return effects(reply.plan)

    def end(self) -> Finished:
        """When it is over."""
        while not isinstance(reply := self.answer(), Finished):
            assert isinstance(reply, Progress)
        return reply

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def askers() -> Iterator[Callable[[RunningStack], Asker]]:
    made: list[Asker] = []

    def make(stack: RunningStack) -> Asker:
        made.append(Asker(stack))
        return made[-1]

    yield make
    for each in made:
        each.close()


Askers = Callable[[RunningStack], Asker]


def test_everybody_who_asks_at_once_gets_a_true_answer_and_nobody_else_waits(
    tmp_path: Path, askers: Askers
) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        slow(stack)
        first = askers(stack).ask(Apply())
        with stack.config.open("w") as pipe:  # which waits for a reader: it is being read
            # That reading is none for those who ask from now on; all others are answered meanwhile.
            second, third, fourth = (askers(stack).ask(Apply(plan=plan)) for plan in (False, True, False))
            os.kill(stack.pid, signal.SIGHUP)
            assert stack.status().stack.state == "running"
            pipe.write(text(stack, ONE + TWO))
        assert first.effects() == {"two": "start"}
        stack.config.write_text(text(stack, ONE))

        assert (second.effects(), third.effects(), fourth.effects()) == ({"two": "stop"}, {}, {})
        assert [asker.end().ok for asker in (second, fourth)] == [True, True]
        assert [service.name for service in stack.status().services] == ["one"]
        assert stack.service("one").run == 1


def test_more_than_a_few_who_ask_while_a_reading_hangs_are_refused(tmp_path: Path, askers: Askers) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        slow(stack)
        asker = askers(stack).ask(Apply(plan=True))
        with stack.config.open("w") as pipe:
            for _ in range(MOST_WAITING + 1):
                asker.ask(Apply(plan=True))
            refused = asker.answer()
            pipe.write(text(stack, ONE))
        assert isinstance(refused, Failed)
        assert refused.message == "cannot apply the configuration: 32 others have asked for it already"
        assert asker.effects() == {}
        stack.config.write_text(text(stack, ONE))  # and again, for those who came meanwhile
        assert [asker.effects() for _ in range(MOST_WAITING)] == [{}] * MOST_WAITING


def test_signals_that_come_while_a_reading_hangs_are_answered_by_one_more(
    tmp_path: Path, askers: Askers
) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        slow(stack)
        os.kill(stack.pid, signal.SIGHUP)
        with stack.config.open("w") as pipe:
            for _ in range(20):
                os.kill(stack.pid, signal.SIGHUP)
                assert stack.status().stack.state == "running"  # it was taken in
            asker = askers(stack).ask(Apply(plan=True))
            pipe.write(text(stack, ONE))
        stack.until_log(": nothing differs")  # that reading is over
        stack.config.write_text(text(stack, ONE + TWO))

        assert asker.effects() == {}, "the others were answered before"
        said = stack.output.read_text()
        assert said.count(": nothing differs") == 1
        assert said.count("applying ") == 1
        assert stack.until_state("two", "running").run == 1


def test_a_start_that_another_one_undoes_comes_to_a_true_end(tmp_path: Path, askers: Askers) -> None:
    never = "ready = {type = 'notify'}\n"
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        stack.config.write_text(text(stack, ONE + TWO + never))
        first = askers(stack).ask(Apply())
        assert first.effects() == {"two": "start"}

        _, end = apply(stack, ONE)

        assert end.ok
        (outcome,) = first.end().outcomes
        assert outcome.error == "it was stopped meanwhile"


def test_stackd_leaves_also_while_a_reading_hangs(tmp_path: Path, askers: Askers) -> None:
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        slow(stack)
        asker = askers(stack).ask(Apply())
        with stack.config.open("w"):
            stack.die(signal.SIGUSR1)

        reply = asker.answer()
        assert isinstance(reply, Failed)
        assert reply.detail == ("nothing was changed.",)
        stack.config.unlink()
        stack.config.write_text(text(stack, ONE))
        stack.come_back()
        assert stack.service("one").adopted


def test_many_services_come_and_go_and_leave_nothing_behind(tmp_path: Path) -> None:
    many = "".join(f"[services.s{number}]\ncommand = ['sleep', '1000']\n" for number in range(200))
    with RunningStack(tmp_path, ONE) as stack:
        stack.until_up()
        pid = stack.pid_of("one")

        plan, end = apply(stack, ONE + many)
        assert (len(plan.changes), end.ok) == (200, True)
        plan, end = apply(stack, ONE)
        assert (len(plan.changes), end.ok) == (200, True)

        assert [service.name for service in stack.status().services] == ["one"]
        assert stack.pid_of("one") == pid
        assert [path.name for path in (stack.run_dir / "output").iterdir()] == ["one"]
        assert [path.name for path in (stack.run_dir / "state").iterdir()] == ["one.json"]
