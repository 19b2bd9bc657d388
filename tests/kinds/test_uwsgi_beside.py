"""Two runs of the real uWSGI on the same sockets, and what is left of one that has lost its master."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import msgspec
import psutil
import pytest

from supervisor_stack.kinds.base import Facts
from supervisor_stack.spec import Address
from tests.kinds.real import free_ports
from tests.kinds.uwsgi_instance import Run, Site, Visit, visit
from tests.servers import DEADLINE, wait_until

UNIX = "socket = %dapp.sock"


def two_runs(site: Site, *, children: int = 1) -> tuple[Run, Run]:
    """One that serves, and another one that has started beside it."""
    first = site.start()
    first.wait_for_workers(children)
    second = site.start()
    second.wait_for_workers(children)
    return first, second


def master_of_stats(address: Address) -> int:
    """Whose statistics are served there."""
    with socket.socket(socket.AF_UNIX if address.path else socket.AF_INET) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(address.path or (address.host, address.port))
        told = b""
        while chunk := sock.recv(65536):
            told += chunk
    return int(json.loads(told)["pid"])


def without(facts: Facts, *words: str) -> Facts:
    """These facts without some arguments."""
    return msgspec.structs.replace(facts, argv=tuple(word for word in facts.argv if word not in words))


def test_each_run_is_asked_by_itself_at_its_private_socket(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nvacuum = true") as site:
        first, second = two_runs(site)

        for run in (first, second):
            assert int(visit(run.private)) in run.children()


@pytest.mark.parametrize(
    ("options", "children"),
    [
        ("processes = 2\nthreads = 2\npidfile = %dpid\ntouch-reload = %p", 2),
        ("vacuum = true\nlazy-apps = true\nchmod-socket = 660", 1),
        ("mule = true", 2),
        ("spooler = %dapp", 2),
        ("cache2 = name=pages,items=10", 1),
    ],
)
def test_the_second_run_goes_on_alone_when_the_first_has_left(
    tmp_path: Path, options: str, children: int
) -> None:
    with Site(tmp_path, f"{UNIX}\n{options}") as site:
        assert site.facts().private is not None
        first, second = two_runs(site, children=children)

        first.order()

        assert first.wait() == 0
        (address,) = site.held
        assert int(visit(address)) in second.children()


@pytest.mark.parametrize(
    "options", ["stats = 127.0.0.1:{port}", "stats = %dstats", "stats = %dstats\nvacuum = true"]
)
def test_statistics_are_those_of_the_run_that_stays(tmp_path: Path, options: str) -> None:
    (port,) = free_ports(1)
    tcp = Address(host="127.0.0.1", port=port)
    stats = tcp if "{port}" in options else Address(path=f"{tmp_path}/stats")
    with Site(tmp_path, f"{UNIX}\n{options.format(port=port)}") as site:
        first, second = two_runs(site)

        first.order()

        assert first.wait() == 0
        assert master_of_stats(stats) == second.pid


def test_without_reuse_port_the_second_run_ends_for_the_address_of_its_statistics(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, f"{UNIX}\nstats = 127.0.0.1:{port}") as site:
        facts = without(site.hold(), "--reuse-port")
        site.start_as(facts).wait_for_workers(1)

        second = site.start_as(facts)

        assert second.wait() == 1
        assert f"another instance of uWSGI is running on the same address (127.0.0.1:{port})" in second.words


def test_with_vacuum_the_first_run_would_remove_the_statistics_of_the_second(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nstats = %dstats\nvacuum = true") as site:
        facts = without(site.hold(), "--set", "vacuum=false")
        first = site.start_as(facts)
        first.wait_for_workers(1)
        site.start_as(facts).wait_for_workers(1)
        assert (tmp_path / "stats").exists()

        first.order()

        assert first.wait() == 0
        assert not (tmp_path / "stats").exists()


def test_a_run_without_a_working_application_ends_before_it_takes_a_visitor(tmp_path: Path) -> None:
    with Site(tmp_path, UNIX) as site:
        first = site.start()
        first.wait_for_workers(1)
        site.code.write_text("import no_such_module")

        second = site.start()

        assert second.wait() == 22
        assert "spawned uWSGI worker" not in second.words
        (address,) = site.held
        assert int(visit(address)) in first.children()


def test_a_broken_application_of_lazy_workers_is_told_at_the_private_socket(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nlazy-apps = true") as site:
        first = site.start()
        first.wait_for_workers(1)
        site.code.write_text("import no_such_module")
        second = site.start()
        second.wait_for_workers(1)

        assert visit(second.private) == "HTTP/1.1 500 Internal Server Error"
        second.order()

        assert second.wait() == 0
        (address,) = site.held
        assert int(visit(address)) in first.children()


def test_workers_that_still_load_do_not_answer_for_the_run_while_the_other_one_serves(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nprocesses = 2\nlazy-apps = true") as site:
        first = site.start()
        first.wait_for_workers(2)
        (site.app / "loading").touch()
        second = site.start()
        wait_until(lambda: len(second.children()) == 2, "it has workers")
        asked = Visit(second.private)
        (address,) = site.held

        assert int(visit(address)) in first.children()

        (site.app / "loading").unlink()
        assert int(asked.answer()) in second.children()


def killed(run: Run) -> None:
    run.process.kill()
    run.process.wait()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("options", ["", "lazy-apps = true", "mule = true", "spooler = %dapp"])
def test_without_its_master_an_idle_worker_leaves_and_a_busy_one_after_its_answer(
    tmp_path: Path, options: str
) -> None:
    with Site(tmp_path, f"{UNIX}\nprocesses = 2\n{options}") as site:
        first = site.start()
        children = first.wait_for_workers(3 if "ule" in options or "spool" in options else 2)
        (address,) = site.held
        slow = Visit(address, "/slow")
        wait_until(lambda: site.slow_requests() == 1, "a request is being worked on")

        killed(first)

        wait_until(lambda: sum(map(is_gone, children)) == len(children) - 1, "all but one have left")
        second = site.start()
        assert int(visit(address)) in second.wait_for_workers(len(children))
        site.finish_slow_requests()
        assert int(slow.answer()) in children
        wait_until(lambda: all(map(is_gone, children)), "the last one has left")


def test_without_the_master_an_idle_thread_ends_the_requests_of_the_others(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nthreads = 2") as site:
        run = site.start()
        run.wait_for_workers(1)
        (address,) = site.held
        slow = Visit(address, "/slow")
        wait_until(lambda: site.slow_requests() == 1, "a request is being worked on")

        killed(run)

        assert slow.answer() == ""


def test_a_busy_worker_that_was_renewed_does_not_keep_the_address_of_the_statistics(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, f"{UNIX}\nstats = 127.0.0.1:{port}") as site:
        first = site.start()
        (worker,) = first.wait_for_workers(1)
        os.kill(worker, signal.SIGKILL)
        (worker,) = first.wait_for_workers(1, others_than={worker})
        (address,) = site.held
        slow = Visit(address, "/slow")
        wait_until(lambda: site.slow_requests() == 1, "a request is being worked on")
        killed(first)
        assert any(
            connection.laddr.port == port for connection in psutil.Process(worker).net_connections("inet4")
        )

        second = site.start()

        assert int(visit(address)) in second.wait_for_workers(1)
        site.finish_slow_requests()
        assert int(slow.answer()) == worker
