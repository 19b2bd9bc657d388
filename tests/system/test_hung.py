"""Masters that are frozen by SIGSTOP: found by their alive probes, and replaced."""

from __future__ import annotations

import os
import signal

import pytest

from supervisor_stack.control.messages import Apply
from tests.stack import is_alive
from tests.system.site import Site
from tests.system.visitors import visitors

ALIVE = 'alive = { interval = "200ms", failures = 3 }\n'


def watch_closely(site: Site) -> None:
    """Have the probes ask often; what runs is not restarted for that."""
    text = site.config.read_text()
    for name in ("mysqld", "redis", "uwsgi", "nginx"):
        text = text.replace(f"[services.{name}]\n", f"[services.{name}]\n{ALIVE}")
    site.config.write_text(text)
    assert site.operate(Apply()).outcomes == ()


@pytest.mark.parametrize("name", ["mysqld", "redis", "uwsgi", "nginx"])
def test_a_frozen_server_is_replaced(site: Site, name: str) -> None:
    watch_closely(site)
    old = site.pid_of(name)

    os.kill(old, signal.SIGSTOP)
    now = site.until_run(name, 2)

    assert now.detail is not None
    assert now.detail.exits[0].reason.startswith("hung: ")
    site.until(lambda: not is_alive(old), "the frozen one is gone")
    assert site.get("/db")[0] == 200


def test_a_frozen_nginx_master_is_replaced_without_a_loss(site: Site) -> None:
    watch_closely(site)

    with visitors(f"http://127.0.0.1:{site.port}/") as visits:
        os.kill(site.pid_of("nginx"), signal.SIGSTOP)
        site.until_run("nginx", 2)

    assert dict(visits.failed) == {}


def test_workers_that_are_all_busy_are_not_hung(site: Site) -> None:
    watch_closely(site)

    with visitors(f"http://127.0.0.1:{site.port}/slow?ms=1500", rate=20):
        assert site.get("/slow?ms=2500")[0] == 200

    assert site.service("uwsgi").run == 1
