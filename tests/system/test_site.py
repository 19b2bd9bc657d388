"""The example site, as a visitor and an administrator see it, on the real servers."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from supervisor_stack.control.messages import Restart, Start, Stop
from supervisor_stack.errors import RefusedError
from tests.servers import wait_until
from tests.stack import is_alive
from tests.system.site import Site

SERVERS = ("mysqld", "redis", "uwsgi", "nginx")


def test_the_site_is_up_with_all_its_backends(site: Site) -> None:
    assert site.get("/")[0] == 200
    assert site.get("/db")[0] == 200
    assert site.get("/cache")[0] == 200
    status, health = site.get("/health")
    assert status == 200
    assert json.loads(health) == {"healthy": True, "backends": {"mysql": "ok", "redis": "ok"}}


def test_servers_start_when_what_they_need_answers(site: Site) -> None:
    ready = [notice.service for notice in site.history() if notice.state in ("running", "exited")]
    spawned = [notice.service for notice in site.history() if notice.event == "Spawned"]
    order = {name: ready.index(name) for name in (*SERVERS, "migrate")}

    assert order["mysqld"] < order["migrate"] < order["uwsgi"] < order["nginx"]
    assert order["redis"] < order["uwsgi"]
    assert set(spawned[:2]) == {"mysqld", "redis"}


def test_each_process_began_after_what_it_needs(site: Site) -> None:
    born = {name: psutil.Process(site.pid_of(name)).create_time() for name in SERVERS}

    assert max(born["mysqld"], born["redis"]) < born["uwsgi"] < born["nginx"]


def test_a_stop_goes_in_reverse_and_leaves_nothing(site: Site) -> None:
    pids = {name: site.pid_of(name) for name in SERVERS}
    everything = [process.pid for process in site.descendants()]

    assert site.operate(Stop(), deadline=60).ok

    assert not [pid for pid in everything if is_alive(pid)]
    stopped = [notice.service for notice in site.history() if notice.state == "stopped" and notice.run]
    assert [name for name in stopped if name in pids][:2] == ["nginx", "uwsgi"]
    assert site.operate(Start(), deadline=60).ok
    assert site.get("/db")[0] == 200


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_comes_back_and_the_site_with_it(site: Site, name: str) -> None:
    others = {other: site.pid_of(other) for other in SERVERS if other != name}
    everything = {process.pid for process in psutil.Process(site.pid_of(name)).children(recursive=True)}

    old = site.kill(name)
    now = site.until_run(name, 2)
    site.until_alone(name)

    assert now.detail is not None
    assert now.detail.exits[0].reason.startswith("killed by SIGKILL")
    assert not [pid for pid in everything | {old} if is_alive(pid)]
    assert {other: site.pid_of(other) for other in others} == others
    assert site.get("/db")[0] == 200
    assert site.get("/cache")[0] == 200


def test_nginx_workers_that_keep_the_port_are_no_obstacle(site: Site) -> None:
    for run in range(2, 7):
        workers = site.workers("nginx")
        site.kill("nginx")
        site.until_run("nginx", run)
        site.until_alone("nginx")

        assert not [pid for pid in workers if is_alive(pid)]
        assert site.get("/")[0] == 200
    assert "Address already in use" not in (site.folder / "nginx_error.log").read_text()


def test_a_restart_storm_ends_with_one_of_each(site: Site) -> None:
    for _ in range(5):
        assert site.operate(Restart(), deadline=60).ok
    for name in SERVERS:
        site.until_alone(name)
    names = [psutil.Process(site.pid_of(name)).name() for name in SERVERS]

    assert len({site.pid_of(name) for name in SERVERS}) == 4

    def children() -> list[str]:
        return sorted(process.name() for process in psutil.Process(site.pid).children())

    # Beside them their configurations may be tested for a moment, to be kept.
    wait_until(lambda: children() == sorted(names), f"there are {names} and nobody else")
    assert site.get("/db")[0] == 200


def test_a_stop_during_the_start_of_the_database_wins(site: Site) -> None:
    site.operate(Stop(), deadline=60)
    begun = site.client.operate(Start(services=("mysqld",)))
    next(begun)

    assert site.operate(Stop(services=("mysqld",)), deadline=60).ok

    assert site.service("mysqld").state == "stopped"
    assert not [process for process in site.descendants() if "maria" in process.name()]


@pytest.mark.parametrize("name", ["nginx/nginx.pid", "mysql/mysql.sock"])
def test_what_a_dead_server_left_behind_is_no_obstacle(site: Site, name: str) -> None:
    assert site.operate(Stop(), deadline=60).ok
    (site.folder / name).write_text("1\n")

    assert site.operate(Start(), deadline=60).ok
    assert site.get("/db")[0] == 200


def test_a_reload_of_uwsgi_loads_the_code_again(site: Site) -> None:
    workers = site.workers("uwsgi")

    done = site.reload("uwsgi")

    assert done.ok, done.outcomes
    assert not site.workers("uwsgi") & workers
    assert site.get("/db")[0] == 200


def test_a_reload_of_uwsgi_into_broken_code_leaves_the_old_one_serving(site: Site) -> None:
    wsgi = site.folder / "br_api" / "wsgi.py"
    code = wsgi.read_text()
    try:
        wsgi.write_text("import no_such_module\n")
        done = site.reload("uwsgi")
        assert site.get("/")[0] == 200
    finally:
        wsgi.write_text(code)

    assert "No module named 'no_such_module'" in str(done.outcomes)
    assert site.service("uwsgi").run == 1


def test_redis_says_why_it_does_not_reload(site: Site) -> None:
    with pytest.raises(RefusedError, match=r"cannot reload redis: .*restart"):
        site.reload("redis")


def test_a_broken_application_is_reported_with_its_traceback(site: Site) -> None:
    wsgi = site.folder / "br_api" / "wsgi.py"
    code = wsgi.read_text()
    try:
        wsgi.write_text("import no_such_module\n")
        done = site.operate(Restart(services=("uwsgi",)), deadline=60)
    finally:
        wsgi.write_text(code)

    assert not done.ok
    assert "ModuleNotFoundError: No module named 'no_such_module'" in str(done.outcomes)
    assert site.operate(Restart(services=("uwsgi",)), deadline=60).ok
    assert site.get("/db")[0] == 200


def test_the_log_of_a_service_has_what_it_printed(site: Site) -> None:
    assert "mounting" in site.log("uwsgi") or "WSGI app 0" in site.log("uwsgi")


def test_a_stopped_server_is_told_by_the_exit_of_stackd(site: Site) -> None:
    everything = [process.pid for process in site.descendants()]
    os.kill(site.pid, signal.SIGTERM)
    assert site.process is not None

    assert site.process.wait(60) == 0
    assert not [pid for pid in everything if is_alive(pid)]


def test_the_redis_data_survive_a_stop(site: Site) -> None:
    before = hits(site)
    assert site.operate(Restart(services=("redis",)), deadline=60).ok

    wait_until(lambda: site.get("/cache")[0] == 200, "redis is in use again")
    assert hits(site) > before


def hits(site: Site) -> int:
    found = re.search(r"hit number (\d+)", site.get("/cache")[1])
    assert found is not None
    return int(found[1])


def test_a_database_that_was_never_initialised_is_named_with_the_command(site: Site) -> None:
    assert site.operate(Stop(), deadline=60).ok
    data = site.folder / "mysql" / "data"
    aside = data.rename(site.folder / "mysql" / "aside")
    try:
        done = site.operate(Start(services=("mysqld",)), deadline=60)
    finally:
        aside.rename(data)

    assert not done.ok
    assert "mariadb-install-db --defaults-file=" in done.outcomes[0].error
    assert not Path(data / "ibdata1.new").exists()
