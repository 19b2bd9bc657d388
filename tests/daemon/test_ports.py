"""Who is in the way of an address."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from supervisor_stack.daemon.ports import find_holder, is_taken, meet, unit_of
from supervisor_stack.spec import Address
from tests.servers import free_port, listening


def at(host: str, port: int = 80) -> Address:
    return Address(host=host, port=port)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (at("127.0.0.1"), at("127.0.0.1"), True),
        (at("127.0.0.1"), at("127.0.0.2"), False),
        (at("127.0.0.1"), at("127.0.0.1", 81), False),
        (at("127.0.0.1"), at("0.0.0.0"), True),
        (at("::1"), at("::"), True),
        (at("::1"), at("0.0.0.0"), False),
        (at("127.0.0.1"), at("::"), True),
        (Address(path="/a"), Address(path="/a"), True),
        (Address(path="/a"), Address(path="/b"), False),
        (Address(path="/a"), at("0.0.0.0", 0), False),
    ],
)
def test_a_wildcard_is_in_the_way_of_its_whole_port(one: Address, other: Address, expected: bool) -> None:
    assert meet(one, other) is expected
    assert meet(other, one) is expected


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/mariadb.service\n", "mariadb.service"),
        (
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
            "postgresql@15-main.service",
        ),
        ("0::/../../system.slice/nginx.service\n", "nginx.service"),
        (
            "12:pids:/system.slice/a.service\n1:name=systemd:/system.slice/redis.service\n0::/\n",
            "redis.service",
        ),
        ("12:pids:/system.slice/a.service\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/redis.service\n", ""),
        ("0::/system.slice/docker-4711.scope\n", ""),
        ("0::/system.slice/stackd.service/service-nginx/run-1\n", ""),
        ("0::/system.slice/odd:name.service\n", "odd:name.service"),
        ("0::/\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process_is_in_its_cgroup(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_the_process_that_listens_there_is_named(host: str) -> None:
    address = at(host, free_port())
    with listening(address):
        assert is_taken(address)
        assert asyncio.run(find_holder(address)).who.startswith(f"pid {os.getpid()} (")


def test_who_listens_at_another_address_of_the_port_is_not_named() -> None:
    one = at("127.0.0.1", free_port())
    with listening(one):
        assert asyncio.run(find_holder(at("127.0.0.2", one.port))).who == (
            "a process that stackd may not look into"
        )


def test_the_process_behind_a_unix_socket_is_named(tmp_path: Path) -> None:
    address = Address(path=f"{tmp_path}/s")
    with listening(address):
        assert asyncio.run(find_holder(address)).who.startswith(f"pid {os.getpid()} (")
