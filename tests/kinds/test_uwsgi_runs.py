"""What each run of uWSGI has of its own, and when two can live beside each other."""

from __future__ import annotations

import msgspec
import pytest

from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.uwsgi import learn
from supervisor_stack.spec import Fifo
from tests.kinds.given import PROJECT, given

INI = f"{PROJECT}/uwsgi.ini"


def learnt(text: str, *args: str, **changes: object) -> Facts:
    basis = given(INI, {INI: f"[uwsgi]\nmaster = true\nsocket = 127.0.0.1:1\n{text}\n"}, *args)
    return learn(msgspec.structs.replace(basis, **changes))


def hands_over(facts: Facts) -> bool:
    return facts.hold is not None and facts.hold.handover


@pytest.mark.parametrize(
    ("text", "who", "owner"),
    [
        ("", {"as_root": True}, ""),
        ("uid = web", {"as_root": True}, "web"),
        ("uid = 33\nimmediate-uid = web", {"as_root": True}, "web"),
        ("uid = www-data", {"user": "www-data"}, "www-data"),
        ("uid = web", {}, ""),
    ],
)
def test_its_pipe_is_made_by_whom_it_runs_as_then(text: str, who: dict[str, object], owner: str) -> None:
    fifo = learnt(text, **who).fifo

    assert fifo is not None
    assert fifo.user == owner


@pytest.mark.parametrize(
    "text",
    ["chroot = /srv", "pivot-root = /srv /old", "namespace = /srv", "uid = $(WHO)", "master-fifo = %h.fifo",
     "if-env = WHO\nuid = %(_)\nendif =", "master-fifo = a\nmaster-fifo = b"],
)  # fmt: skip
def test_it_has_no_pipe_where_it_could_not_make_one(text: str) -> None:
    facts = learnt(text)

    assert (facts.fifo, facts.private) == (None, None)
    assert not hands_over(facts)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("master-fifo = /run/a", "/run/a"),
        ("master-fifo = a", f"{PROJECT}/a"),
        ("master-fifo = a\nchdir = b", f"{PROJECT}/b/a"),
    ],
)
def test_its_own_pipe_is_used_and_a_second_run_would_take_it_away(text: str, path: str) -> None:
    facts = learnt(text)

    assert facts.fifo == Fifo(path=path, stop="q\n", remind="HUP")
    assert not hands_over(facts)


@pytest.mark.parametrize(
    "text",
    ["pidfile = a.pid\nstats = 127.0.0.1:9191\nvacuum = true",
     "mules = 2\nspooler = spool\ncache2 = name=a,items=9", "touch-reload = a", "req-logger = file:/a"],
)  # fmt: skip
def test_two_runs_of_an_ordinary_configuration_can_live_beside_each_other(text: str) -> None:
    facts = learnt(text)

    assert hands_over(facts)
    assert facts.private is not None


@pytest.mark.parametrize(
    "text",
    ["http = :8080", "https2 = addr=:443", "fastrouter = :9", "udp = :9", "snmp = :9", "zerg-server = /run/z",
     "cache2 = name=a,items=9,store=/srv/cache", "cache-store = /srv/cache", "queue-store = /srv/queue",
     "attach-daemon = celery beat", "smart-attach-daemon = /run/a.pid a", "cron = 0 0 -1 -1 -1 job",
     "unique-cron = 0 0 -1 -1 -1 job", "emperor = /etc/vassals", "socket = localhost:2", "socket = a.sock",
     "socket = @abstract", "socket = :0", "socket = $(WHERE)", "stats = $(WHERE)",
     "if-env = MORE\nhttp = :8080\nendif =", "include = more.yaml"],
)  # fmt: skip
def test_a_run_that_another_one_would_be_in_the_way_of_stays_alone(text: str) -> None:
    facts = learnt(text)

    assert not hands_over(facts)
    assert facts.private is None
    assert facts.hold is not None


def test_a_socket_that_the_user_does_not_want_held_is_in_the_way_too() -> None:
    assert not hands_over(learnt("socket = 127.0.0.1:2", hold=(learnt("").addresses[0],)))


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("stats = 127.0.0.1:9191", ("--reuse-port",)),
        ("stats-server = :9191\nvacuum = true", ("--reuse-port",)),
        ("stats = /run/stats\nvacuum = true", ("--set", "vacuum=false")),
        ("stats = /run/stats", ()),
        ("vacuum = true", ()),
        ("stats = 127.0.0.1:9191\nhttp = :8080", ()),
    ],
)
def test_statistics_are_arranged_so_that_two_runs_can_have_them(text: str, added: tuple[str, ...]) -> None:
    argv = learnt(text, "--harakiri=30").argv

    assert argv[argv.index("--harakiri=30") + 1 :] == added


def test_without_room_for_the_path_of_a_private_socket_a_run_stays_alone() -> None:
    facts = learnt("", runtime_dir=f"/run/{'a' * 80}")

    assert facts.private is None
    assert not hands_over(facts)
    assert facts.fifo is not None
