"""stackd is killed while visitors come and something is under way; the next one finds everything again.

The same is measured many more times, and at random instants, by benchmarks/supervisor_death.py.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import bystander, census
from benchmarks.bystander import counts
from benchmarks.death import PAGES, changes, crash, missing, unsettled
from benchmarks.deaths import HANDS_OVER, UNDER_WAY
from benchmarks.numbered import Lines, LogReader, Verdict
from benchmarks.sampler import Sampler
from benchmarks.supervised import beside
from supervisor_stack.control.messages import Notice, Start, Stop
from supervisor_stack.control.parts import ServiceStatus
from tests.servers import wait_until
from tests.stack import RunningStack
from tests.system.site import Site
from tests.system.visitors import visitors

CASES = {case.name: case for case in UNDER_WAY}

# When stackd is killed: after the notice for which this is true.
MOMENTS: dict[str, Callable[[Notice], bool] | None] = {
    "nothing": None,
    "reload": lambda notice: notice.service == "nginx" and notice.state == "reloading",
    "uwsgi": lambda notice: notice.service == "uwsgi" and notice.event == "Spawned",
    "start": lambda notice: notice.service == "extra" and notice.event == "Spawned",
    "stop": lambda notice: notice.service == "extra" and notice.state == "stopping",
    "redis": lambda notice: notice.service == "redis" and notice.state == "stopping",
    "crash-nginx": lambda notice: notice.service == "nginx" and notice.event == "ProcessExited",
    "dead-nginx": None,
    "task": lambda notice: notice.service == "task" and notice.state == "running",
}


@pytest.fixture
def crowded_site(fresh_site: Path) -> Iterator[Site]:
    """The running site, with the services beside it. Whatever the test was about, nothing is left of it."""
    toml = fresh_site / "stackd.toml"
    toml.write_text(toml.read_text() + beside(fresh_site))
    stopped = Site(fresh_site)
    stopped.edit("worker_processes  1", "worker_processes  2")  # as the census wants it
    try:
        with stopped as running:
            running.until_up()
            assert running.operate(Start()).ok
            running.until_state("task", "exited")
            yield running
    finally:
        wait_until(lambda: kill_all(fresh_site) == 0, "nothing is left")


def kill_all(folder: Path) -> int:
    """SIGKILL for all processes of the site; returns how many there were."""
    left = census.take(folder).processes
    for each in left:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
    return len(left)


def kill_stackd(stack: RunningStack) -> None:
    """SIGKILL, and nobody hears of it."""
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()


def how_it_is(stack: RunningStack) -> dict[str, ServiceStatus]:
    return {each.name: each for each in stack.status().services}


def verdict(stack: RunningStack) -> Verdict:
    """What became of the lines of the writer, once it has ended."""
    assert stack.operate(Stop(services=("writer",))).ok
    lines, reader = Lines(), LogReader(stack.log_dir / "writer.log")
    for text in reader.read_on():
        lines.feed(text)
    reader.close()
    return lines.verdict(counts(stack.log_dir))


@pytest.mark.parametrize("name", MOMENTS)
def test_nobody_notices_that_stackd_was_killed(crowded_site: Site, name: str) -> None:
    site, case, moment = crowded_site, CASES[name], MOMENTS[name]
    if case.first:
        assert site.operate(case.first).ok
    before, seq = how_it_is(site), site.status().seq
    urls = [f"http://127.0.0.1:{site.port}{page}" for page in PAGES]

    with visitors(*urls) as visits, Sampler(site.folder) as sampler:
        if case.crash:
            crash(site.folder, case.crash)
        if case.ask:
            next(site.client.operate(case.ask))
        if moment:
            next(filter(moment, site.client.subscribe(since=seq, timeout=20)))
        kill_stackd(site)
        if case.crash_later:
            crash(site.folder, case.crash_later)
        site.start_anew()
        wait_until(lambda: not list(missing(how_it_is(site), before, case.untouched)), "they are adopted")
        adopted = how_it_is(site)
        wait_until(lambda: not problems(site, name), "all is as it was asked for")
        wait_until(lambda: not census.take(site.folder).leftovers(), "older runs have left")

    assert list(changes(adopted, before, case.untouched)) == []
    assert dict(visits.failed) == {}
    assert sampler.lives.unexpected(case.runs) == {}
    assert sampler.lives.duplicates(HANDS_OVER) == ()
    assert verdict(site).is_good


def problems(site: Site, name: str) -> list[str]:
    """What is not yet as it should be in the end."""
    whole = census.take(site.folder).wrong()
    return [*unsettled(how_it_is(site), CASES[name]), *([whole] if whole else [])]


def test_no_line_is_lost_when_stackd_dies_between_rotations(tmp_path: Path) -> None:
    toml = f"""
[services.writer]
command = ["{sys.executable}", "{bystander.__file__}", "writer", "{tmp_path}/log"]
log = {{ max_bytes = "64KiB", keep = 1000 }}
"""
    log = tmp_path / "log" / "writer.log"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        for kills in range(1, 6):
            # 64 KiB are 655 lines, an eighth of a second.
            wait_until((log.parent / f"writer.log.{3 * kills}").exists, "it is rotated again")
            pid = stack.pid_of("writer")
            kill_stackd(stack)
            stack.start_anew()
            assert stack.until_state("writer", "running").pid == pid

        found = verdict(stack)

    assert found.is_good
    assert found.written > 15 * 655
