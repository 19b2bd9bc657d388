"""Which sockets are held for uWSGI, with which rights, and when one run can begin beside another."""

from __future__ import annotations

import msgspec
import pytest

from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.uwsgi import learn
from supervisor_stack.spec import Address, Hold
from tests.kinds.given import PROJECT, given

INI = f"{PROJECT}/uwsgi.ini"
ONE, TWO = Address(host="127.0.0.1", port=1), Address(host="127.0.0.1", port=2)


def learnt(text: str, *args: str, **changes: object) -> Facts:
    basis = given(INI, {INI: f"[uwsgi]\nmaster = true\n{text}\n"}, *args)
    return learn(msgspec.structs.replace(basis, **changes))


def held(facts: Facts) -> Hold:
    assert facts.hold is not None
    return facts.hold


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("socket = :1", ["0.0.0.0:1"]),
        ("socket = 0.0.0.0:1\nhttp-socket = 127.0.0.1:2", ["0.0.0.0:1", "127.0.0.1:2"]),
        ("https-socket = :1,a,b\nfastcgi-nph-socket = /run/a.sock", ["0.0.0.0:1", "unix:/run/a.sock"]),
        ("socket = [::1]:1\nsocket = [::]:2", ["[::1]:1", "[::]:2"]),
        ("socket = :1\nsocket = localhost:2\nsocket = a.sock\nhttp = :3\nsocket = [0::1]:4", ["0.0.0.0:1"]),
        ("shared-socket = :1\nhttp = =0\nsocket = :2", ["0.0.0.0:1", "0.0.0.0:2"]),
        ("socket = :1\nsocket = :1", ["0.0.0.0:1"]),
    ],
)  # fmt: skip
def test_those_sockets_are_held_that_uwsgi_finds_by_their_address(text: str, addresses: list[str]) -> None:
    assert [str(address) for address in held(learnt(text)).addresses or ()] == addresses


def test_the_ipv6_wildcard_takes_ipv4_too_as_uwsgi_leaves_it() -> None:
    assert held(learnt("socket = [::]:1")).addresses == (Address(host="::", port=1, dual=True),)


def test_the_user_may_choose_among_them_or_want_none() -> None:
    both = "socket = 127.0.0.1:1\nsocket = 127.0.0.1:2"

    assert held(learnt(both, hold=(TWO,))).addresses == (TWO,)
    assert learnt(both, hold=()).hold is None
    assert learnt(both, hold=()).problems == ()
    unix = learnt("socket = /run//app.sock", hold=(Address(path="/run/app.sock"),))
    assert held(unix).addresses == (Address(path="/run//app.sock"),)


def test_what_uwsgi_would_not_take_over_cannot_be_held() -> None:
    assert learnt("socket = 127.0.0.1:1", hold=(ONE, TWO)).problems == (
        "hold names 127.0.0.1:2, which uWSGI does not take over; it does so for 127.0.0.1:1",
    )
    facts = learnt("socket = 127.0.0.1:1", hold=(TWO,))
    assert facts.hold is None
    assert facts.no_hold == f"{INI} makes uWSGI listen at 127.0.0.1:1 and not there"
    facts = learnt("socket = localhost:1", hold=(ONE,))
    assert facts.hold is None
    assert facts.no_hold == (
        f"no socket in {INI} is written so that uWSGI finds it among those that it is lent"
    )


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("shutdown-sockets", "shutdown-sockets ends a socket for everybody who has it, when a worker leaves"),
        ("abstract-socket", "abstract-socket is on, so no path is the path of a file"),
        ("chroot", "chroot is set, so uWSGI binds its sockets below another root"),
        ("so-keepalive", "so-keepalive is only set on sockets that uWSGI binds itself"),
        ("reuse-port", "reuse-port is only set on sockets that uWSGI binds itself"),
    ],
)
def test_options_that_a_held_socket_would_not_have_keep_it_from_being_held(option: str, reason: str) -> None:
    facts = learnt(f"socket = :1\n{option} = true", hold=(ONE,))

    assert facts.hold is None
    assert facts.no_hold == reason


def test_a_shared_socket_that_cannot_be_held_is_a_problem_as_uwsgi_would_not_bind_it() -> None:
    (problem,) = learnt("shared-socket = [::1]:1\nsocket = =0\nsocket = :2").problems

    assert problem.startswith("shared-socket [::1]:1 has to be held by stackd, as uWSGI binds none")
    assert learnt("shared-socket = :1\nsocket = =0", hold=()).problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0o755),
        ("umask = 027", 0o750),
        ("umask = 0077", 0o700),
        ("chmod-socket = 660\numask = 077", 0o660),
        ("chmod = 1", 0o666),
    ],
)
def test_the_mode_of_a_unix_socket_is_the_one_that_uwsgi_would_give_it(text: str, expected: int) -> None:
    assert held(learnt(f"socket = /run/a.sock\n{text}")).mode == expected


ROOT = {"as_root": True}
WWW = {"user": "www-data", "group": "web"}


@pytest.mark.parametrize(
    ("text", "who", "expected"),
    [
        ("", ROOT, ("", "")),
        ("uid = web\ngid = sites", ROOT, ("web", "sites")),
        ("uid = web", ROOT, ("web", "root")),
        ("immediate-uid = web\nmaster-as-root = true", ROOT, ("web", "root")),
        ("uid = web\nmaster-as-root = true", ROOT, ("", "")),
        ("uid = web\ndrop-after-apps = true", ROOT, ("", "")),
        ("uid = web\nchown-socket = nginx:sites", ROOT, ("nginx", "sites")),
        ("uid = web\nchown-socket = nginx", ROOT, ("nginx", "root")),
        ("", WWW, ("www-data", "web")),
        ("uid = www-data\nchown-socket = www-data:nginx", WWW, ("www-data", "nginx")),
    ],
)
def test_the_owner_of_a_unix_socket_is_the_one_that_uwsgi_would_give_it(
    text: str, who: dict[str, object], expected: tuple[str, str]
) -> None:
    hold = held(learnt(f"socket = /run/a.sock\n{text}", **who))

    assert (hold.user, hold.group) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 4), ("socket-timeout = 30", 30), ("socket-timeout = 30\nno-defer-accept = true", 0)],
)
def test_silent_clients_are_kept_away_for_as_long_as_uwsgi_would(text: str, seconds: int) -> None:
    assert held(learnt(f"socket = :1\n{text}")).defer_accept == seconds


def test_freebind_is_for_held_sockets_too() -> None:
    assert held(learnt("socket = :1\nfreebind = true")).free_bind


def test_of_a_file_that_cannot_be_read_here_what_the_user_says_is_held() -> None:
    config = f"{PROJECT}/uwsgi.yaml"
    basis = given(config, {config: ""}, has_ready=True)

    assert learn(basis).hold is None
    facts = learn(msgspec.structs.replace(basis, hold=(ONE,)))
    assert facts.hold == Hold(lend="address", addresses=(ONE,), mode=0o755)
    assert (facts.fifo, facts.private) == (None, None)
