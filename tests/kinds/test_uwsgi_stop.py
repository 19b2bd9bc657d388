"""How the real uWSGI is asked to finish and leave, and what becomes of requests at a stop and at a reload."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from tests.kinds.uwsgi_instance import Run, Site, Visit, visit
from tests.servers import wait_until

UNIX = "socket = %dapp.sock"


def started(site: Site, workers: int) -> Run:
    run = site.start()
    run.wait_for_workers(workers)
    return run


def slow_visits(site: Site, count: int) -> list[Visit]:
    """Requests that are being worked on, until they may be finished."""
    (address,) = site.held
    visits = [Visit(address, "/slow") for _ in range(count)]
    wait_until(lambda: site.slow_requests() == count, f"{count} requests are being worked on")
    return visits


@pytest.mark.parametrize(
    ("options", "workers", "requests"),
    [
        ("processes = 2", 2, 2),
        ("processes = 2\nthreads = 2", 2, 4),
        ("processes = 2\nthreads = 2\nlazy-apps = true", 2, 2),
        ("processes = 3\ncheaper = 1\ncheaper-initial = 2\ndie-on-term = true", 2, 2),
        ("mule = true\nexit-on-reload = true", 2, 1),
    ],
)
def test_the_order_by_the_pipe_lets_it_finish_every_request(
    tmp_path: Path, options: str, workers: int, requests: int
) -> None:
    with Site(tmp_path, f"{UNIX}\n{options}") as site:
        run = started(site, workers)
        visits = slow_visits(site, requests)

        run.order()

        wait_until(lambda: "graceful shutdown triggered" in run.words, "it has read the order")
        assert run.process.poll() is None
        site.finish_slow_requests()
        assert {int(each.answer()) for each in visits} <= run.children() | {0, *_pids(run)}
        assert run.wait() == 0


def _pids(run: Run) -> set[int]:
    """The workers that it said it spawned: those that have left are no children any more."""
    lines = [line for line in run.words.splitlines() if "uWSGI worker" in line and "(pid: " in line]
    return {int(line.partition("(pid: ")[2].partition(",")[0]) for line in lines}


def test_its_stop_signal_alone_drops_the_request(tmp_path: Path) -> None:
    with Site(tmp_path, UNIX) as site:
        run = started(site, 1)
        (slow,) = slow_visits(site, 1)

        run.process.send_signal(signal.SIGINT)

        assert slow.answer() == ""
        assert run.wait() == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_after_the_order_the_stop_signal_drops_nothing(tmp_path: Path, threads: int) -> None:
    with Site(tmp_path, f"{UNIX}\nthreads = {threads}") as site:
        run = started(site, 1)
        (slow,) = slow_visits(site, 1)
        run.order()
        wait_until(lambda: "graceful shutdown triggered" in run.words, "it has read the order")

        for _ in range(3):
            run.order()

        site.finish_slow_requests()
        assert int(slow.answer()) in _pids(run)
        run.order()
        assert run.wait() == 0


def test_without_the_end_of_the_line_it_sleeps_for_a_second_before_it_leaves(tmp_path: Path) -> None:
    with Site(tmp_path, UNIX) as site:
        facts = site.hold()
        assert facts.fifo is not None
        assert facts.fifo.stop == "q\n"
        bare = msgspec.structs.replace(facts, fifo=msgspec.structs.replace(facts.fifo, stop="q"))
        run = site.start_as(bare)
        run.wait_for_workers(1)
        asked = time.monotonic()

        run.order()

        assert run.wait() == 0
        assert time.monotonic() - asked > 0.9


SECOND_WORKER_LOADS = """
import os, pathlib, time, uwsgi

while uwsgi.worker_id() == 2 and (pathlib.Path(__file__).parent / "loading").exists():
    time.sleep(0.005)

def application(environ, start_response):
    start_response("200 OK", [])
    return [str(uwsgi.worker_id()).encode()]
"""


def test_a_worker_that_was_loading_does_not_hear_the_order_and_leaves_when_reminded(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nprocesses = 2\nlazy-apps = true", SECOND_WORKER_LOADS) as site:
        loading = site.app / "loading"
        loading.touch()
        run = site.start()
        (address,) = site.held
        assert visit(address) == "1"
        wait_until(run.fifo.is_fifo, "the pipe is there")
        run.order()
        wait_until(lambda: len(run.children()) == 1, "the first worker has left")

        loading.unlink()

        assert visit(address) == "2"
        assert run.process.poll() is None
        run.order()
        assert run.wait() == 0


def test_the_pipe_is_made_anew_when_its_writer_leaves(tmp_path: Path) -> None:
    # So the writer stays until the run is over: a path may have become that of another run.
    with Site(tmp_path, UNIX) as site:
        run = started(site, 1)
        old = os.open(run.fifo, os.O_PATH)
        try:
            os.close(os.open(run.fifo, os.O_WRONLY | os.O_NONBLOCK))

            wait_until(
                lambda: run.fifo.exists() and run.fifo.stat().st_ino != os.fstat(old).st_ino,
                "there is another pipe",
            )
        finally:
            os.close(old)


def test_where_it_cannot_make_its_pipe_it_does_not_start(tmp_path: Path) -> None:
    with Site(tmp_path, UNIX) as site:
        facts = site.hold()
        argv = (*facts.argv, "--master-fifo", f"{tmp_path}/nowhere/pipe")

        run = site.start_as(msgspec.structs.replace(facts, argv=argv, fifo=None, private=None))

        assert run.wait() == 1
        assert "mkfifo(): No such file or directory" in run.words


def test_a_pipe_of_its_own_configuration_is_the_one_that_it_reads(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nmaster-fifo = %dpipe") as site:
        facts = site.hold()
        assert facts.fifo is not None
        assert (facts.fifo.path, facts.fifo.option) == (f"{tmp_path}/pipe", "")
        other = tmp_path / "other"
        argv = (*facts.argv, "--master-fifo", str(other))
        run = site.start_as(msgspec.structs.replace(facts, argv=argv))
        run.wait_for_workers(1)

        assert not other.exists()
        run.order()
        assert run.wait() == 0


@pytest.mark.parametrize("options", ["processes = 2", "processes = 2\nthreads = 2\nlazy-apps = true"])
def test_a_reload_finishes_requests_and_nobody_is_refused_while_the_application_loads(
    tmp_path: Path, options: str
) -> None:
    with Site(tmp_path, f"{UNIX}\n{options}") as site:
        run = started(site, 2)
        (slow,) = slow_visits(site, 1)
        old = run.children()
        (site.app / "loading").touch()

        run.process.send_signal(signal.SIGHUP)

        wait_until(lambda: "gracefully killing workers" in run.words, "it has heard the signal")
        site.finish_slow_requests()
        assert int(slow.answer()) in old
        wait_until(lambda: "binary reloading uWSGI" in run.words, "its workers are gone")
        (address,) = site.held
        meanwhile = Visit(address)
        (site.app / "loading").unlink()
        assert int(meanwhile.answer()) in run.wait_for_workers(2, others_than=old)


@pytest.mark.parametrize("options", ["lazy-apps = true", "need-app = false"])
def test_a_broken_application_at_a_reload_is_not_held_off(tmp_path: Path, options: str) -> None:
    with Site(tmp_path, f"{UNIX}\n{options}") as site:
        run = started(site, 1)
        old = run.children()
        site.code.write_text("import no_such_module")

        run.process.send_signal(signal.SIGHUP)

        run.wait_for_workers(1, others_than=old)
        (address,) = site.held
        assert visit(address) == "HTTP/1.1 500 Internal Server Error"


def test_a_broken_application_at_a_reload_ends_an_instance_that_needs_it(tmp_path: Path) -> None:
    with Site(tmp_path, UNIX) as site:
        run = started(site, 1)
        site.code.write_text("import no_such_module")

        run.process.send_signal(signal.SIGHUP)

        assert run.wait() == 22
        assert "No module named 'no_such_module'" in run.words
