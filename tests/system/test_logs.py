"""stackctl logs on the example site: what the four real servers print and write by themselves."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.cli.shop import following, lines, stackctl
from tests.servers import wait_until
from tests.system.site import Site


def shown(site: Site) -> list[dict[str, Any]]:
    """All lines of all logs."""
    ran = stackctl("-c", site.config, "logs", "-n", "100000", "--json")
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def files(site: Site) -> set[tuple[str, str]]:
    """The services and files that have lines."""
    return {(line["service"], os.path.relpath(line["file"], site.folder)) for line in shown(site)}


def index(told: list[dict[str, Any]], words: str) -> int:
    """Where the first line with these words is."""
    return next(number for number, line in enumerate(told) if words in line["line"])


def test_all_logs_of_the_four_servers_are_found_and_merged(site: Site) -> None:
    assert site.get("/?visitor")[0] == 200
    assert site.get("/static/nothing")[0] == 404

    told = shown(site)

    ready = index(told, "ready for connections")  # MariaDB
    assert ready < index(told, "GET /?visitor => generated")  # uWSGI
    assert ready < index(told, "GET /?visitor HTTP/1.1")  # nginx
    assert told[index(told, "Ready to accept connections")]["service"] == "redis"
    timed = {line["service"] for line in told if line["time"]}
    assert timed == {"mysqld", "redis", "uwsgi", "nginx"}
    running = files(site)
    assert running == {
        ("mysqld", "log/mysqld.log"),
        ("redis", "log/redis.log"),
        ("migrate", "log/migrate.log"),
        ("uwsgi", "log/uwsgi.log"),
        ("nginx", "log/nginx.log"),
        ("nginx", "nginx_error.log"),
        ("nginx", "nginx_access.log"),
    }

    site.__exit__(None, None, None)
    assert files(site) == running


def test_a_log_of_nginx_is_followed_across_its_rotation_by_logrotate(site: Site) -> None:
    access = site.folder / "nginx_access.log"
    with following("-c", site.config, "logs", "-f", "-n", "1", "nginx") as process:
        lines(process, 1)

        access.rename(f"{access}.1")
        site.get("/?before")
        assert "GET /?before" in lines(process, 1)[0]
        os.kill(site.pid_of("nginx"), signal.SIGUSR1)
        wait_until(access.exists, "nginx has opened its log again")
        site.get("/?after")
        assert "GET /?after" in lines(process, 1)[0]
