"""The held set follows the configuration of nginx, and a start of many may go on at once over it."""

from __future__ import annotations

import errno
import re
import socket

from supervisor_stack.control.messages import Start, Stop
from tests.servers import free_port, wait_until
from tests.system.site import Site
from tests.system.visitors import visitors


def add_listen(site: Site, port: int) -> str:
    """Have nginx listen at another port too; returns the line that does it."""
    (line,) = re.findall(r" *listen .*;\n", site.conf.read_text())
    site.edit(line, f"{line}        listen 127.0.0.1:{port};\n")
    return f"        listen 127.0.0.1:{port};\n"


def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as visitor:
        return visitor.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_an_address_that_a_reload_adds_is_held_from_then_on(site: Site) -> None:
    port = free_port()
    add_listen(site, port)
    assert site.reload().ok
    detail = site.service("nginx").detail
    assert detail is not None
    assert f"127.0.0.1:{port}" in detail.held

    with visitors(f"http://127.0.0.1:{port}/") as visits:
        site.kill("nginx")
        site.until_run("nginx", 2)

    assert dict(visits.failed) == {}


def test_an_address_that_a_reload_drops_refuses_its_clients(site: Site) -> None:
    port = free_port()
    line = add_listen(site, port)
    assert site.reload().ok
    site.edit(line, "")
    assert site.reload().ok

    # The workers of before close it when they get to it.
    wait_until(lambda: is_refused(port), "the port is closed")


def test_a_reload_that_fails_leaves_the_held_sockets_as_they_are(site: Site) -> None:
    held = site.service("nginx").detail
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        add_listen(site, somebody.getsockname()[1])

        assert not site.reload().ok

    now = site.service("nginx").detail
    assert held is not None
    assert now is not None
    assert now.held == held.held


def test_reuseport_is_refused_by_name(site: Site) -> None:
    port = site.port
    (listen,) = re.findall(r"listen +\d+", site.conf.read_text())
    site.edit(listen, f"{listen} reuseport")

    told = str(site.reload().outcomes)

    assert "reuseport" in told
    assert "hold = []" in told
    assert site.get("/", port)[0] == 200


def test_a_parallel_start_does_not_wait_for_what_can_queue_its_clients(site: Site) -> None:
    assert site.operate(Stop(), deadline=60).ok
    text = site.config.read_text()
    site.config.write_text(text.replace("[stack]\n", "[stack]\nparallel = true\n"))
    site.start_anew()
    site.until_up()

    spawned = {notice.service: notice.seq for notice in site.history() if notice.event == "Spawned"}
    ready = {notice.service: notice.seq for notice in site.history() if notice.event == "BecameReady"}
    assert spawned["migrate"] < ready["mysqld"]
    assert spawned["nginx"] < ready["uwsgi"]
    assert ready["redis"] < spawned["uwsgi"]
    assert site.get("/db")[0] == 200


def test_a_stopped_parallel_stack_starts_again(site: Site) -> None:
    text = site.config.read_text()
    site.config.write_text(text.replace("[stack]\n", "[stack]\nparallel = true\n"))
    site.start_anew()
    site.until_up()

    assert site.operate(Stop(), deadline=60).ok
    assert site.operate(Start(), deadline=60).ok

    assert site.get("/db")[0] == 200
