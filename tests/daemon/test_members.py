"""What belongs to a run is found wherever it went, shown, cleared away, and nothing else is touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from supervisor_stack.control.messages import Restart, Start, Stop
from tests.daemon.delegated import delegated, entering, names
from tests.kinds.nginx_site import write_site
from tests.servers import free_port, program, wait_until
from tests.stack import RunningStack, is_alive


@pytest.fixture(params=["cgroup", "session"])
def place(request: pytest.FixtureRequest) -> Iterator[Path | None]:
    """The cgroup that is delegated to stackd, or none."""
    with delegated() if request.param == "cgroup" else nullcontext() as folder:
        yield folder


@pytest.fixture
def cgroup_folder() -> Iterator[Path]:
    """A cgroup that is delegated to stackd."""
    with delegated() as folder:
        yield folder


def stack_in(place: Path | None, folder: Path, toml: str) -> RunningStack:
    """A stackd in that cgroup."""
    stack = RunningStack(folder, toml)
    stack.through = entering(place) if place else ()
    return stack


def app(script: str) -> str:
    return f"[services.app]\ncommand = ['sh', '-c', {script!r}]\nbackoff = {{initial = '10ms'}}\n"


def crash(stack: RunningStack) -> None:
    stack.kill("app")
    stack.until_run("app", 2)


def restart(stack: RunningStack) -> None:
    assert stack.operate(Restart(services=("app",))).ok


def stop(stack: RunningStack) -> None:
    assert stack.operate(Stop(services=("app",))).ok


ENDINGS = pytest.mark.parametrize("end", [crash, restart, stop])

# Nobody else on the machine sleeps so long.
LONG = 100_000 + os.getpid()

# It has the run's session, environment or input no more, and its parent is gone.
ESCAPED = f"( setsid env -i sleep {LONG} </dev/null & )"
# Each of these has lost all but one.
LEFT = {
    "its session": f"( env -i sleep {LONG} </dev/null & )",
    "its environment": f"( setsid sleep {LONG} </dev/null & )",
    "its input": f"( setsid env -i sleep {LONG} <&3 & )",
}


def sleepers(seconds: int = LONG) -> set[int]:
    """All processes that sleep so long."""
    return {
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", str(seconds)]
    }


def escaped() -> int:
    wait_until(lambda: len(sleepers()) == 1, "it is there")
    return sleepers().pop()


def ended(pid: int) -> bool:
    return not is_alive(pid)


@ENDINGS
def test_in_a_cgroup_nothing_escapes(
    tmp_path: Path, cgroup_folder: Path, end: Callable[[RunningStack], None]
) -> None:
    script = f"test -e done || {{ {ESCAPED}; touch done; }}; exec sleep 1000"
    with stack_in(cgroup_folder, tmp_path, app(script)) as stack:
        stack.until_up()
        pid = escaped()
        service = stack.service("app")
        assert service.detail is not None
        assert {each.pid for each in service.detail.tree} == {service.pid, pid}
        assert names(cgroup_folder) == {"service-app", "service-app/run-1"}

        end(stack)

        assert ended(pid)
        there = set() if end is stop else {"service-app", "service-app/run-2"}
        wait_until(lambda: names(cgroup_folder) == there, "the cgroups of gone runs are removed")
    assert names(cgroup_folder) == set()


@ENDINGS
@pytest.mark.parametrize("left", LEFT)
def test_one_of_three_marks_is_enough(
    tmp_path: Path, place: Path | None, left: str, end: Callable[[RunningStack], None]
) -> None:
    script = f"exec 3<&0; test -e done || {{ {LEFT[left]}; touch done; }}; exec sleep 1000"
    with stack_in(place, tmp_path, app(script)) as stack:
        stack.until_up()
        pid = escaped()

        end(stack)

        assert ended(pid)


def test_without_cgroups_what_nobody_owns_is_told_once_and_ended_last(tmp_path: Path) -> None:
    script = f"test -e done || {{ {ESCAPED}; touch done; }}; exec sleep 1000"
    with stack_in(None, tmp_path, app(script)) as stack:
        stack.until_up()
        pid = escaped()
        told = f"pid {pid} (sleep {LONG}) is nobody's: it left its session and cleaned its environment"
        for run in range(2, 5):
            stack.kill("app")
            service = stack.until_run("app", run)
        stack.until_log(told)
        restart(stack)
        assert service.detail is not None
        assert pid not in {each.pid for each in service.detail.tree}
        assert is_alive(pid)

    output = stack.output.read_text()
    assert output.count("is nobody's") == 1
    assert ended(pid)
    assert output.index("app: stopping -> stopped") < output.index(
        f"pid {pid} (sleep {LONG}) is left: ending it"
    )


def test_what_nobody_owns_and_ignores_sigterm_is_killed_in_the_end(tmp_path: Path) -> None:
    stubborn = f"trap : TERM; (setsid env -i sleep {LONG} </dev/null &); while :; do sleep 1000; done"
    script = f"( setsid env -i sh -c '{stubborn}' </dev/null >/dev/null 2>&1 & ); exec sleep 2000"
    with stack_in(None, tmp_path, f'[services.app]\ncommand = [\'sh\', \'-c\', """{script}"""]') as stack:
        stack.until_up()
        escaped()
        left = [process.pid for process in stack.descendants() if process.pid != stack.pid_of("app")]
        assert len(left) == 3

    assert not [pid for pid in left if is_alive(pid)]


def test_a_probe_leaves_nobody(tmp_path: Path, place: Path | None) -> None:
    probe = f"{{type = 'exec', command = ['sh', '-c', 'sleep {LONG} & exit 0'], interval = '20ms'}}"
    toml = f"[services.app]\ncommand = ['sleep', '1000']\nready = {probe}\n"
    with stack_in(place, tmp_path, toml) as stack:
        stack.until_up()
        wait_until(lambda: bool(sleepers()), "the probe has left something behind")
        pids = sleepers()

        stop(stack)

        assert not [pid for pid in pids if is_alive(pid)]
    assert "is nobody's" not in stack.output.read_text()


def test_two_stacks_with_the_same_names_leave_each_other_alone(tmp_path: Path) -> None:
    script = "( setsid sleep {} </dev/null & ); exec sleep 1000"
    with (
        stack_in(None, make(tmp_path / "one"), app(script.format(LONG))) as one,
        stack_in(None, make(tmp_path / "two"), app(script.format(LONG + 1))) as two,
    ):
        one.until_up()
        two.until_up()
        wait_until(lambda: bool(sleepers(LONG) and sleepers(LONG + 1)), "both are there")
        (theirs,) = sleepers(LONG + 1)

        stop(one)

        assert not sleepers(LONG)
        assert is_alive(theirs)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def web(tmp_path: Path, place: Path | None) -> Iterator[RunningStack]:
    """nginx with two workers."""
    write_site(tmp_path, f"server {{ listen 127.0.0.1:{free_port()}; }}", "worker_processes 2;")
    binary = program("nginx")
    toml = f"[services.web]\nkind = 'nginx'\nconfig = 'nginx.conf'\nbinary = '{binary}'\n"
    with stack_in(place, tmp_path, toml) as stack:
        stack.until_up()
        yield stack


def test_workers_hand_over_to_the_next_run(web: RunningStack, place: Path | None) -> None:
    master = web.pid_of("web")
    wait_until(lambda: len(psutil.Process(master).children()) == 2, "its workers are there")
    workers = {process.pid for process in psutil.Process(master).children()}

    web.kill("web")
    web.until_run("web", 2)
    web.until(lambda: other_runs(web) == (), "the first run is gone")

    assert not [pid for pid in workers if is_alive(pid)]
    errors = (web.folder / "error.log").read_text()
    assert "run 1 did not leave" not in web.output.read_text(), errors
    if place:
        wait_until(lambda: names(place) == {"service-web", "service-web/run-2"}, "its cgroup is gone")

    assert web.operate(Restart(services=("web",))).ok
    web.until(lambda: other_runs(web) == (), "the second run is gone")
    if place:
        wait_until(lambda: names(place) == {"service-web", "service-web/run-3"}, "its cgroup is gone")


def other_runs(stack: RunningStack) -> tuple[int, ...]:
    detail = stack.service("web").detail
    assert detail is not None
    return detail.other_runs


def test_a_start_that_fails_leaves_no_cgroup(tmp_path: Path, cgroup_folder: Path) -> None:
    (tmp_path / "home").mkdir()
    toml = "[services.app]\ncommand = ['sleep', '1000']\ncwd = 'home'\nrestart = 'never'\n"
    with stack_in(cgroup_folder, tmp_path, toml) as stack:
        stack.until_up()
        stop(stack)
        (tmp_path / "home").rmdir()

        assert not stack.operate(Start(services=("app",))).ok
        assert "does not exist" in stack.service("app").reason
        assert names(cgroup_folder) == set()


def test_a_start_without_room_for_a_cgroup_fails_with_the_cause(tmp_path: Path, cgroup_folder: Path) -> None:
    toml = "[services.app]\ncommand = ['sleep', '1000']\nrestart = 'never'\n"
    with stack_in(cgroup_folder, tmp_path, toml) as stack:
        stack.until_up()
        stop(stack)
        (cgroup_folder / "cgroup.max.descendants").write_text("0")

        assert not stack.operate(Start(services=("app",))).ok

        place = cgroup_folder / "service-app/run-2"
        told = f"cannot make the cgroup {place}: Resource temporarily unavailable"
        assert stack.service("app").reason == told


def test_a_program_that_is_not_there_is_named_also_behind_others(tmp_path: Path, place: Path | None) -> None:
    script = tmp_path / "script"
    script.write_text("#!/does/not/exist\n")
    script.chmod(0o755)
    toml = f"[services.app]\ncommand = ['{script}']\nnice = 1\nrestart = 'never'\n"
    with stack_in(place, tmp_path, toml) as stack:
        reason = stack.until_state("app", "failed").reason
        assert (
            reason
            == f"cannot execute {script}: its interpreter (the first line of the script) does not exist"
        )

        script.unlink()
        assert not stack.operate(Start(services=("app",))).ok
        assert stack.service("app").reason == f"cannot execute {script}: No such file or directory"


def test_stackd_that_was_killed_leaves_its_services_where_they_are(
    tmp_path: Path, cgroup_folder: Path
) -> None:
    with stack_in(cgroup_folder, tmp_path, app("exec sleep 1000")) as stack:
        stack.until_up()
        pid = stack.pid_of("app")
        assert stack.process is not None
        stack.process.kill()
        stack.process.wait()
        assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ended(pid), "it is gone")
    (cgroup_folder / "service-app/run-1").rmdir()
    (cgroup_folder / "service-app").rmdir()
