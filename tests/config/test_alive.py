"""The probe that goes on, and what else says when a service is ended: kill, on_dependency_crash, parallel."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds import KINDS
from supervisor_stack.spec import Address, ProbeSpec
from tests.config.sites import USER, Site

WEB = '[services.web]\ncommand = ["gunicorn"]\n'
NGINX = '[services.nginx]\nkind = "nginx"\nconfig = "nginx.conf"\n'
REDIS = '[services.redis]\nkind = "redis"\nconfig = "redis.conf"\n'
UWSGI = '[services.uwsgi]\nkind = "uwsgi"\nconfig = "uwsgi.ini"\n'
MYSQLD = f'[services.mysqld]\nkind = "mysqld"\nconfig = "my.cnf"\nuser = "{USER}"\n'

PORT = Address(host="127.0.0.1", port=6379)
OF_REDIS = ProbeSpec(type="redis", address=PORT, password="s3cret", interval=5.0, any_answer=True)


@pytest.mark.parametrize(
    ("text", "alive"),
    [
        (NGINX, ProbeSpec(type="hangup", interval=5.0, any_answer=True)),
        (REDIS, OF_REDIS),
        (UWSGI, ProbeSpec(type="process", interval=5.0)),
        (MYSQLD, ProbeSpec(type="process", interval=5.0)),
        (WEB, None),
    ],
)
def test_every_server_is_asked_on_in_a_way_that_leaves_no_trace(
    site: Site, text: str, alive: ProbeSpec | None
) -> None:
    assert site.service(text).alive == alive


def test_it_can_be_switched_off(site: Site) -> None:
    assert site.service(f"{NGINX}alive = false").alive is None


def test_switched_on_it_is_that_of_the_kind(site: Site) -> None:
    assert site.service(f"{REDIS}alive = true").alive == OF_REDIS


def test_the_keys_that_are_given_change_that_of_the_kind(site: Site) -> None:
    service = site.service(f'{REDIS}alive = {{failures = 10, interval = "1m", timeout = 20}}')

    assert service.alive == ProbeSpec(
        type="redis",
        address=PORT,
        password="s3cret",
        interval=60.0,
        timeout=20.0,
        failures=10,
        any_answer=True,
    )


def test_of_another_type_it_asks_where_the_service_listens(site: Site) -> None:
    service = site.service(f'{REDIS}alive = {{type = "hangup"}}')

    assert service.alive == ProbeSpec(type="hangup", address=PORT, interval=5.0, any_answer=True)


def test_of_nginx_it_asks_where_its_test_says(site: Site) -> None:
    service = site.service(f'{NGINX}alive = {{type = "http", path = "/up"}}')

    assert service.alive == ProbeSpec(type="http", path="/up", interval=5.0, any_answer=True)


def test_whoever_expects_something_is_not_content_with_any_answer(site: Site) -> None:
    service = site.service(
        f'{WEB}alive = {{type = "http", address = ":80", expect = [200], interval = "10s"}}'
    )

    assert service.alive == ProbeSpec(type="http", address=Address(port=80), expect=(200,), interval=10.0)


def test_a_command_may_tell(site: Site) -> None:
    service = site.service(f'{WEB}alive = {{type = "exec", command = ["sleep", "0"]}}')

    assert service.alive == ProbeSpec(type="exec", command=(f"{site.folder}/bin/sleep", "0"), interval=5.0)


def test_whether_it_is_ready_is_asked_as_before(site: Site) -> None:
    ready = site.service(REDIS).ready

    assert site.service(f'{REDIS}alive = {{interval = "9s"}}').ready == ready
    assert ready is not None
    assert ready.interval == 1.0


@pytest.mark.parametrize(
    ("text", "kill"),
    [(NGINX, True), (UWSGI, True), (REDIS, False), (MYSQLD, False), (WEB, True)],
)
def test_what_keeps_data_is_not_killed_by_a_stop_unless_the_user_allows_it(
    site: Site, text: str, kill: bool
) -> None:
    assert site.service(text).kill is kill
    assert site.service(f"{text}kill = true").kill
    assert not site.service(f"{text}kill = false").kill


def test_a_dependent_may_be_renewed_with_what_it_requires(site: Site) -> None:
    assert site.service(WEB).on_dependency_crash == "hold"
    assert site.service(f'{WEB}on_dependency_crash = "restart"').on_dependency_crash == "restart"


def test_a_stack_starts_in_strict_order_unless_told_otherwise(site: Site) -> None:
    assert not site.load(WEB).parallel
    assert site.load(f"[stack]\nparallel = true\n{WEB}").parallel


def test_what_a_kind_knows_of_ends_reaches_the_service(site: Site) -> None:
    service, kind = site.service(MYSQLD), KINDS["mysqld"]

    assert service.notify
    assert service.wish_exits == kind.wish_exits
    assert 16 in service.wish_exits
    assert service.parent_variable == "MYSQLD_PARENT_PID"
    assert site.service(REDIS).stop_refusal == KINDS["redis"].stop_refusal
