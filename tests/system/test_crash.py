"""Servers are killed while visitors come; none of them is refused."""

from __future__ import annotations

import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from supervisor_stack.control.messages import Restart, Stop
from tests.servers import wait_until
from tests.stack import is_alive
from tests.system.site import Site
from tests.system.visitors import visitors


def url(site: Site, path: str = "/") -> str:
    return f"http://127.0.0.1:{site.port}{path}"


def test_an_nginx_master_is_killed_and_nobody_notices(site: Site) -> None:
    with visitors(url(site)) as visits:
        for run in (2, 3, 4):
            workers = site.workers("nginx")
            site.kill("nginx")
            site.until_run("nginx", run)
            site.until_alone("nginx")
            assert not [pid for pid in workers if is_alive(pid)]

    assert dict(visits.failed) == {}
    assert int((site.folder / "nginx/nginx.pid").read_text()) == site.pid_of("nginx")


def test_a_killed_uwsgi_master_costs_no_visitor_his_page(site: Site) -> None:
    with visitors(url(site), url(site, "/db")) as visits:
        for run in (2, 3):
            site.kill("uwsgi")
            site.until_run("uwsgi", run)
            # Each of its workers loses a request at most: what one crash costs is known after it.
            site.until_alone("uwsgi")

    assert dict(visits.failed) == {}


def test_both_masters_are_killed_at_once(site: Site) -> None:
    with visitors(url(site)) as visits:
        site.kill("uwsgi")
        site.kill("nginx")
        site.until_run("nginx", 2)
        site.until_run("uwsgi", 2)

    assert dict(visits.failed) == {}


def test_a_killed_uwsgi_worker_is_replaced_by_its_master_and_its_request_repeated(site: Site) -> None:
    main = site.pid_of("uwsgi")
    with visitors(url(site)) as visits:
        worker = min(site.workers("uwsgi"))
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: len(site.workers("uwsgi") - {worker}) == 2, "the worker was replaced")

    assert dict(visits.failed) == {}
    assert site.pid_of("uwsgi") == main


def test_a_request_outlives_its_master_and_the_others_do_not_wait_for_it(site: Site) -> None:
    ini = site.folder / "uwsgi.ini"
    ini.write_text(ini.read_text().replace("threads=2", "threads=1"))
    assert site.operate(Restart(services=("uwsgi",)), deadline=60).ok
    site.until_alone("uwsgi")
    run = site.service("uwsgi").run
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.get, "/slow?ms=4000")
        wait_until(lambda: busy_workers(site) == 1, "the long request is being worked on")

        with visitors(url(site)) as visits:
            site.kill("uwsgi")
            site.until_run("uwsgi", run + 1)
            assert not slow.done()
            assert slow.result()[0] == 200

    assert dict(visits.failed) == {}
    site.until_alone("uwsgi")


def busy_workers(site: Site) -> int:
    """How many workers have accepted a connection."""
    port = int(re.findall(r"socket = 127.0.0.1:(\d+)", (site.folder / "uwsgi.ini").read_text())[0])
    return sum(
        any(
            each.laddr and each.laddr.port == port and each.raddr
            for each in psutil.Process(pid).net_connections()
        )
        for pid in site.workers("uwsgi")
    )


def test_the_port_of_a_killed_database_refuses_nobody(site: Site) -> None:
    port = re.findall(r"^port = (\d+)", (site.folder / "my.cnf").read_text(), re.MULTILINE)[0]
    with visitors(f"mysql://127.0.0.1:{port}") as visits:
        site.kill("mysqld")
        site.until_run("mysqld", 2)

    assert visits.failed["refused"] == 0
    assert sum(visits.failed.values()) <= 1  # the one that was being greeted


def test_pages_that_do_not_ask_the_database_do_not_notice_its_death(site: Site) -> None:
    with visitors(url(site)) as visits:
        site.kill("mysqld")
        site.until_run("mysqld", 2)

    assert dict(visits.failed) == {}


@pytest.mark.parametrize("name", ["nginx", "uwsgi"])
def test_a_restart_costs_no_visitor_his_page(site: Site, name: str) -> None:
    old = site.pid_of(name)
    with visitors(url(site)) as visits:
        done = site.operate(Restart(services=(name,)), deadline=60)
        assert done.ok, done.outcomes
        site.until_alone(name)

    assert dict(visits.failed) == {}
    assert site.service(name).run == 2
    assert not is_alive(old)


def test_the_pid_file_of_nginx_survives_the_end_of_the_run_before(site: Site) -> None:
    assert site.operate(Restart(services=("nginx",)), deadline=60).ok
    site.until_alone("nginx")

    assert int((site.folder / "nginx/nginx.pid").read_text()) == site.pid_of("nginx")


def test_a_restart_into_a_broken_application_leaves_the_old_one_serving(site: Site) -> None:
    ini = site.folder / "uwsgi.ini"
    ini.write_text(ini.read_text().replace("br_api.wsgi", "no_such_module"))
    old = site.pid_of("uwsgi")

    with visitors(url(site)) as visits:
        done = site.operate(Restart(services=("uwsgi",)), deadline=60)

    assert not done.ok
    assert "No module named 'no_such_module'" in str(done.outcomes)
    assert "goes on" in str(done.outcomes)
    assert dict(visits.failed) == {}
    assert site.pid_of("uwsgi") == old
    site.until_alone("uwsgi")


def test_a_restart_into_a_broken_nginx_configuration_leaves_the_old_one_serving(site: Site) -> None:
    site.edit("worker_processes", "worker_procesess")
    old = site.pid_of("nginx")

    done = site.operate(Restart(services=("nginx",)), deadline=60)

    assert 'unknown directive "worker_procesess"' in str(done.outcomes)
    assert site.pid_of("nginx") == old
    assert site.get("/")[0] == 200


def test_a_stopped_site_refuses_its_visitors_at_once(site: Site) -> None:
    assert site.operate(Stop(services=("nginx",)), deadline=60).ok

    with socket.socket() as visitor:
        visitor.settimeout(5)
        with pytest.raises(ConnectionRefusedError):
            visitor.connect(("127.0.0.1", site.port))


def test_status_says_which_sockets_are_held(site: Site) -> None:
    held = {name: site.service(name).detail for name in ("nginx", "uwsgi", "mysqld", "redis")}

    assert {name: len(detail.held) for name, detail in held.items() if detail} == {
        "nginx": 1,
        "uwsgi": 1,
        "mysqld": 2,
        "redis": 0,
    }
