"""How Redis is run, where it listens and how it is asked."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.redis import learn
from supervisor_stack.spec import Address, Precondition, ProbeSpec
from tests.kinds import guide
from tests.kinds.given import PROJECT, given

CONF = "/usr/local/redis/etc/redis.conf"
REDIS = "/usr/local/redis/bin/redis-server"
FOREGROUND = ("--daemonize", "no", "--supervised", "no")


def learnt(text: str, *args: str) -> Facts:
    return learn(given(CONF, {CONF: text}, *args, binary=REDIS))


def test_the_guides_file_works_as_it_stands() -> None:
    address = Address(host="127.0.0.1", port=6379)

    assert learnt(guide.REDIS_CONF) == Facts(
        argv=(REDIS, CONF, *FOREGROUND),
        addresses=(address,),
        ready=ProbeSpec(type="redis", address=address, password="12345"),
        alive=alive("redis", address, "12345"),
        preconditions=(
            Precondition(
                path=PROJECT,
                problem=f"there is no directory {PROJECT}, where redis keeps its data (dir in {CONF}); "
                "make it, owned by the user of redis",
            ),
        ),
    )


def test_no_argument_of_the_user_can_send_it_to_the_background() -> None:
    assert learnt("", "--daemonize", "yes").argv == (REDIS, CONF, "--daemonize", "yes", *FOREGROUND)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ["0.0.0.0:6379"]),
        ("port 7000", ["0.0.0.0:7000"]),
        ("bind 127.0.0.1 ::1", ["127.0.0.1:6379", "[::1]:6379"]),
        ('bind "127.0.0.1 ::1"', ["127.0.0.1:6379", "[::1]:6379"]),
        ("bind 127.0.0.1 -::1", ["127.0.0.1:6379"]),
        ("bind -127.0.0.1", ["127.0.0.1:6379"]),
        ("bind * -::*", ["0.0.0.0:6379"]),
        ("bind ::*", ["[::]:6379"]),
        ("bind localhost", ["localhost:6379"]),
        ("bind 127.0.0.1\nbind ::1", ["[::1]:6379"]),
        ("port 0\nunixsocket /run/redis.sock", ["unix:/run/redis.sock"]),
        ("unixsocket redis.sock\ndir /srv/redis", ["0.0.0.0:6379", "unix:/srv/redis/redis.sock"]),
        ("tls-port 6380", ["0.0.0.0:6379", "0.0.0.0:6380"]),
        ('bind ""\nunixsocket /run/redis.sock', ["unix:/run/redis.sock"]),
    ],
)
def test_settings_become_addresses_and_the_first_is_asked(text: str, addresses: list[str]) -> None:
    facts = learnt(text)

    assert [str(address) for address in facts.addresses] == addresses
    assert facts.ready == ProbeSpec(type="redis", address=facts.addresses[0])
    assert facts.alive == alive("redis", facts.addresses[0])
    assert facts.problems == ()


def test_arguments_win_over_the_file() -> None:
    facts = learnt("port 6379\nrequirepass a", "--port", "7000", "--requirepass", "b")

    address = Address(host="0.0.0.0", port=7000)
    assert facts.ready == ProbeSpec(type="redis", address=address, password="b")


def test_with_tls_alone_a_connection_has_to_do() -> None:
    facts = learnt("port 0\ntls-port 6380\nbind 127.0.0.1")

    assert facts.ready == ProbeSpec(type="tcp", address=Address(host="127.0.0.1", port=6380))
    assert facts.alive == alive("process")


@pytest.mark.parametrize(
    ("text", "logs"),
    [
        ('logfile ""', ()),
        ("logfile /var/log/redis.log", ("/var/log/redis.log",)),
        ("logfile redis.log\ndir /srv/redis", ("/srv/redis/redis.log",)),
        ("logfile /dev/null", ()),
    ],
)
def test_the_log_is_relative_to_the_directory_of_the_data(text: str, logs: tuple[str, ...]) -> None:
    assert learnt(text).logs == logs


NOWHERE = (
    f"redis listens nowhere: {CONF} sets port to 0, or bind to nothing, and has no unixsocket; "
    "write port 6379, say"
)


def test_the_directory_of_the_data_has_to_be_there() -> None:
    assert [needed.path for needed in learnt("dir /srv/redis").preconditions] == ["/srv/redis"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port 0", NOWHERE),
        ('bind ""', NOWHERE),
        ("port abc", "port is 'abc', which is no port; write a number from 0 to 65535"),
        ("tls-port 99999", "tls-port is '99999', which is no port; write a number from 0 to 65535"),
        ("requirepass 'a", f"line 1 of {CONF} has unbalanced quotes; close or remove them"),
    ],
)
def test_what_redis_would_not_start_with_is_a_problem(text: str, problem: str) -> None:
    assert learnt(text).problems == (problem,)


def test_a_file_that_is_not_there_is_a_problem() -> None:
    assert learn(given(CONF, {})).problems == (
        f"cannot read {CONF}: No such file or directory; name a file that redis can read",
    )
