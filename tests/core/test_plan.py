"""The plan: every key that differs, from when on it counts, what happens to each service, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from supervisor_stack.core.differences import FIELDS, OF_THE_PROCESS, Difference, When, differences, of_stackd
from supervisor_stack.core.plan import Change, compare_stackd
from supervisor_stack.core.shorthand import LONGEST, in_short, shortened
from supervisor_stack.spec import (
    Address,
    Backoff,
    Check,
    ClientKey,
    ControlSpec,
    Grant,
    Hold,
    Log,
    NetworkSpec,
    PidFile,
    Precondition,
    ProbeSpec,
    Reload,
    ServiceSpec,
    StackSpec,
    Watch,
)
from tests.core.histories import ADDRESS, HELD, History, service

APP = ServiceSpec(name="app", argv=("app", "-v"))
NGINX = ServiceSpec(
    name="nginx", kind="nginx", argv=("nginx", "-c", "/etc/nginx.conf"), config="/etc/nginx.conf"
)
OTHER_ADDRESS = Address(path="/run/app.sock")


def told(old: ServiceSpec, **changes: Any) -> list[tuple[str, str | None, str | None]]:
    """The keys that differ with these changes, and both values."""
    found = differences(old, msgspec.structs.replace(old, **changes))
    return [(each.key, each.before, each.after) for each in found]


def test_every_field_of_a_service_is_classified_once_as_a_whole_or_by_its_parts() -> None:
    fields = set(ServiceSpec.__struct_fields__) - {"name"}  # by which it is known
    whole = {path for path in FIELDS if "." not in path}
    parts = {path.partition(".")[0] for path in FIELDS} - whole

    assert whole | parts == fields
    for field in parts:
        kind = getattr(APP, field)
        assert {path.partition(".")[2] for path in FIELDS if path.startswith(f"{field}.")} == set(
            kind.__struct_fields__
        )


def test_what_a_process_gets_when_it_is_made_needs_a_new_run() -> None:
    assert set(OF_THE_PROCESS) >= {
        "argv", "env", "cwd", "user", "group", "umask", "limits", "nice", "oom_score_adj", "type", "hold",
        "fifo", "private", "notify", "addresses", "log.to",
    }  # fmt: skip
    assert set(OF_THE_PROCESS).isdisjoint({"log.max_bytes", "log.keep", "ready", "alive", "watch", "backoff"})


SAMPLES: dict[str, object] = {
    "kind": "redis", "config": "/etc/x", "argv": ("other",), "type": "task", "user": "www", "group": "www",
    "env": {"A": "1"}, "cwd": "/srv", "umask": 0o27, "limits": {"nofile": 9}, "nice": 5, "oom_score_adj": 1,
    "hold": Hold(lend="systemd", addresses=(ADDRESS,)), "log": Log(to="null"),
    "alive": ProbeSpec(type="tcp", address=ADDRESS), "watch": Watch(), "on_dependency_crash": "restart",
    "requires": ("db",), "wants": ("db",), "after": ("db",), "ready": ProbeSpec(type="tcp"),
    "start_timeout": 9.0, "stop_timeout": 9.0, "stop_signal": "INT", "kill": False,
    "reload": Reload(signal="HUP"), "no_reload": "", "restart": "never", "backoff": Backoff(max=9.0),
    "start_limit": msgspec.structs.replace(APP.start_limit, burst=1), "autostart": False,
    "addresses": (ADDRESS,), "notify": True, "parent_variable": "X", "copy": "redis",
    "check": Check(argv=("test",)), "preconditions": (Precondition(path="/x", problem="no"),),
    "logs": ("/x",), "access_logs": ("/x",), "stop_again": 1.0, "stop_when_ready": True,
    "pid_files": (PidFile(path="/x"),), "chatter": ("x",), "stop_refusal": "no",
    "final_exits": {1: "x"}, "wish_exits": {1: "x"},
}  # fmt: skip


@pytest.mark.parametrize("field", sorted(set(ServiceSpec.__struct_fields__) - {"name", "fifo", "private"}))
def test_a_difference_in_any_field_is_told_and_has_one_line(field: str) -> None:
    found = differences(APP, msgspec.structs.replace(APP, **{field: SAMPLES[field]}))

    assert found
    assert all(key.key and "\n" not in f"{key.before}{key.after}" for key in found)


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"argv": ("app", "-q")}, [("command", "app -v", "app -q")]),
        ({"log": Log(max_bytes=1024)}, [("log.max_bytes", "50MiB", "1KiB")]),
        ({"log": Log(max_bytes=0, keep=1)}, [("log.max_bytes", "50MiB", "0"), ("log.keep", "5", "1")]),
        ({"umask": 0o27}, [("umask", None, "027")]),
        (
            {"limits": {"nofile": 1024, "core": -1}},
            [("limits.core", None, "infinity"), ("limits.nofile", None, "1024")],
        ),
        ({"user": "www-data"}, [("user", None, "www-data")]),
        ({"kill": False}, [("kill", "true", "false")]),
        ({"stop_timeout": 90.0}, [("stop_timeout", "10 s", "90 s")]),
        ({"backoff": Backoff(max=60.0)}, [("backoff.max", "30 s", "60 s")]),
        ({"requires": ("db", "redis")}, [("requires", "[]", "[db, redis]")]),
        ({"ready": ProbeSpec(type="http", address=ADDRESS)}, [("ready", None, "http 127.0.0.1:80")]),
        ({"alive": ProbeSpec(type="process")}, [("alive", None, "process")]),
        ({"watch": Watch(paths=("/a", "/b"))}, [("watch", None, "reload at changes of /a, /b")]),
        ({"reload": Reload(signal="HUP"), "no_reload": ""}, [("reload_signal", None, "HUP")]),
        (
            {"hold": Hold(lend="systemd", addresses=(ADDRESS,)), "addresses": (ADDRESS,)},
            [("hold", None, "[127.0.0.1:80]")],
        ),
    ],
)
def test_keys_are_told_as_they_are_written(
    changes: dict[str, Any], keys: list[tuple[str, str | None, str | None]]
) -> None:
    assert told(APP, **changes) == keys


def test_only_the_parts_of_a_probe_that_differ_are_told() -> None:
    old = msgspec.structs.replace(APP, alive=ProbeSpec(type="http", address=ADDRESS))
    alive = ProbeSpec(type="http", address=OTHER_ADDRESS, path="/health", interval=5.0)

    assert told(old, alive=alive) == [
        ("alive.address", "127.0.0.1:80", "unix:/run/app.sock"),
        ("alive.interval", "1 s", "5 s"),
        ("alive.path", "/", "/health"),
    ]


def test_values_of_the_environment_and_passwords_are_never_told() -> None:
    old = msgspec.structs.replace(
        APP,
        env={"KEPT": "k", "GONE": "s3cret", "TOKEN": "s3cret"},
        ready=ProbeSpec(type="redis", password="s3cret"),
    )
    new = msgspec.structs.replace(
        old,
        env={"KEPT": "k", "NEW": "s3cret2", "TOKEN": ""},
        ready=ProbeSpec(type="redis", password="s3cret2"),
    )

    found = differences(old, new)

    assert "s3cret" not in str(found)
    assert [(key.key, key.before, key.after, key.hidden) for key in found] == [
        ("env.GONE", "", None, True),
        ("env.NEW", None, "", True),
        ("env.TOKEN", "", "", True),
        ("ready.password", "", "", True),
    ]


def test_of_a_server_the_program_and_the_arguments_are_told_apart() -> None:
    argv = ("/opt/nginx", "-c", "/etc/nginx.conf", "-g", "daemon off;")

    assert told(NGINX, argv=argv) == [
        ("binary", "nginx", "/opt/nginx"),
        ("args", "-c", "-c -g 'daemon off;'"),
    ]


def test_another_file_of_a_server_is_told_as_its_config_only() -> None:
    changes = {
        "config": "/etc/other.conf",
        "argv": ("nginx", "-c", "/etc/other.conf"),
        "logs": ("/var/log/x",),
    }

    assert told(NGINX, **changes) == [("config", "/etc/nginx.conf", "/etc/other.conf")]


def test_what_only_follows_is_told_where_nothing_else_explains_it() -> None:
    assert told(NGINX, logs=("/var/log/x",)) == [("config", "", "")]
    assert told(NGINX, logs=("/var/log/x",), kill=False) == [("kill", "true", "false")]
    assert told(NGINX, addresses=(ADDRESS,), kill=False) == [
        ("kill", "true", "false"),
        ("config", "listens at []", "listens at [127.0.0.1:80]"),
    ]


def test_another_kind_says_it_all() -> None:
    changes = {"kind": "redis", "argv": ("redis-server",), "kill": False, "copy": "redis", "notify": True}

    assert [key for key, *_ in told(APP, **changes)] == ["kind", "kill"]


# Values in short.


def test_long_values_are_shown_where_they_differ() -> None:
    before = "/usr/bin/gunicorn " + "--option " * 20 + "--workers 2 " + "--more " * 20
    after = before.replace("--workers 2", "--workers 16")

    shown = shortened(before, after)

    assert shown == ("…workers 2 --more …", "…workers 16 --more …")


@pytest.mark.parametrize(
    "pair", [("x" * 500, "y" * 500), ("x" * 500, "x" * 501), (None, "y" * 500), ("", "y" * 500)]
)
def test_no_value_is_longer_than_it_may_be_and_they_differ(pair: tuple[str | None, str | None]) -> None:
    before, after = shortened(*pair)

    assert before != after
    assert max(len(before or ""), len(after or "")) <= LONGEST + 2


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert in_short("command", ("echo", "a\nb\x1b[2J")) == "echo 'a\\nb\\x1b[2J'"
    assert in_short("cwd", "/a\rb") == "/a\\rb"


# What happens, and why.


def running(*specs: ServiceSpec) -> History:
    history = History(*specs)
    history.ask("start")
    history.up(*(spec.name for spec in specs))
    return history


def why(history: History, *specs: ServiceSpec) -> dict[str, str]:
    """The plan for these, in words, by service."""
    return {change.service: change.why for change in history.stack.plan(specs).changes}


DB, WEB = service("db"), service("web", "db")


def test_what_comes_and_goes() -> None:
    history = running(DB, WEB, service("tail", "web"))
    history.ask("stop", "tail")
    history.exited("tail", 0)

    assert why(history, service("new"), service("later", autostart=False)) == {
        "db": "stops (removed) after web",
        "later": "stays stopped (autostart = false)",
        "new": "starts (new)",
        "tail": "is forgotten (removed; it is stopped)",
        "web": "stops (removed)",
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"argv": ("x",)}, "restarts: command changed; web goes on meanwhile"),
        (
            {"argv": ("x",), "user": "u", "kill": False},
            "restarts: command, user changed; web goes on meanwhile",
        ),
        ({"log": Log(max_bytes=1)}, "nothing restarts: log.max_bytes is taken up at once"),
        ({"log": Log(max_bytes=1, keep=1)}, "nothing restarts: log.max_bytes, log.keep are taken up at once"),
        ({"ready": None}, "nothing restarts: ready counts from its next start"),
        (
            {"backoff": Backoff(initial=1.0, max=2.0), "kill": False},
            (
                "nothing restarts: kill counts from its next stop; "
                "backoff.initial, backoff.max count from its next failure"
            ),
        ),
        ({"autostart": False}, "nothing restarts: autostart counts from the next start of stackd"),
    ],
)
def test_what_happens_to_a_service_that_changes(changes: dict[str, Any], told: str) -> None:
    history = running(DB, WEB)

    assert why(history, msgspec.structs.replace(DB, **changes), WEB) == {"db": told}


def stopped(history: History) -> None:
    history.ask("stop")
    history.exited("db", 0)


def stopping(history: History) -> None:
    history.ask("stop")


def in_backoff(history: History) -> None:
    for _ in range(2):
        history.exited("db", 1)
        history.spawned("db")
    history.exited("db", 1)


@pytest.mark.parametrize(
    ("be", "told"),
    [
        (stopped, "nothing restarts: it is stopped, and command, nice count when it starts"),
        (stopping, "nothing restarts: it is being stopped, and command, nice count when it starts"),
        (in_backoff, "starts: it failed before, and command, nice changed"),
    ],
)
def test_what_happens_to_one_that_does_not_run(be: Callable[[History], None], told: str) -> None:
    history = running(DB)
    be(history)

    assert why(history, msgspec.structs.replace(DB, argv=("x",), nice=1)) == {"db": told}


def test_one_that_waits_takes_it_up_when_it_starts() -> None:
    history = History(service("a"), WEB, DB)
    history.ask("start", "web")

    changed = msgspec.structs.replace(WEB, argv=("x",))

    assert why(history, service("a"), DB, changed) == {
        "web": "nothing restarts: it waits to start, and command counts when it starts"
    }


def test_a_hand_over_is_announced_and_dependents_are_not_bothered() -> None:
    app = service("app", **HELD)
    history = running(app, service("web", "app"))

    assert why(history, service("app", **HELD, env={"A": "1"}), service("web", "app")) == {
        "app": "restarts: env.A changed; the new run takes over when it is ready"
    }


def test_many_dependents_are_counted() -> None:
    others = [service(f"w{number}", "db") for number in range(9)]
    history = running(DB, *others)

    plan = why(history, msgspec.structs.replace(DB, argv=("x",)), *others)

    assert plan == {"db": "restarts: command changed; w0, w1, w2 and 6 more go on meanwhile"}


def test_what_is_needed_and_stopped_is_part_of_the_plan() -> None:
    history = running(DB)
    stopped(history)

    assert why(history, DB, WEB, service("tail", "web", autostart=False)) == {
        "db": "starts: web needs it",
        "tail": "stays stopped (autostart = false)",
        "web": "starts (new)",
    }


# stackd itself.

STACK = StackSpec(
    name="shop",
    base_dir="/srv",
    runtime_dir="/run/stackd",
    log_dir="/var/log/stackd",
    control=ControlSpec(socket="ipc:///run/stackd/control.sock", events="ipc:///run/stackd/events.sock"),
)


def test_every_field_of_a_stack_that_may_change_is_told() -> None:
    others = {"name": "x", "base_dir": "/x", "log_dir": "/x", "parallel": True}
    told = of_stackd(STACK, msgspec.structs.replace(STACK, **others))

    assert [key.key for key in told] == ["stack.name", "stack.base_dir", "stack.log_dir", "stack.parallel"]
    # The reading refuses another runtime_dir, and each service is told by itself.
    assert set(StackSpec.__struct_fields__) == {*others, "control", "runtime_dir", "services", "source"}


def test_keys_of_the_control_socket_are_told_each() -> None:
    after = "ipc:///x/control.sock"
    control = ControlSpec(socket=after, events="ipc:///x/events.sock", group="web")

    change = compare_stackd(STACK, msgspec.structs.replace(STACK, control=control))

    assert change == Change(
        "changed",
        "",
        (
            Difference(
                "control.socket", "ipc:///run/stackd/control.sock", "ipc:///x/control.sock", When.NEXT_STACKD
            ),
            Difference("control.group", None, "web", When.AT_ONCE),
        ),
        "none",
        "nothing restarts: control.socket counts from the next start of stackd; control.group is taken up at "
        "once (`systemctl restart stackd` leaves all services running)",
    )
    assert compare_stackd(STACK, STACK) is None


def test_who_may_do_what_is_taken_up_at_once_and_where_stackd_listens_is_not() -> None:
    network = NetworkSpec(
        listen="tcp://0.0.0.0:7890",
        events="tcp://0.0.0.0:7891",
        keys="/keys",
        clients=(ClientKey(name="alice", public="a" * 40, role="view"),),
    )
    grants = (
        Grant(role="view", name="@games", number=60),
        Grant(role="operate", name="bob", number=1001),
    )
    control = msgspec.structs.replace(STACK.control, group="games", grants=grants, network=network)
    other = msgspec.structs.replace(network, clients=(ClientKey(name="alice", public="b" * 40, role="view"),))
    with_network = msgspec.structs.replace(STACK, control=control)
    with_another_key = msgspec.structs.replace(STACK, control=msgspec.structs.replace(control, network=other))

    at_once = {each.key for each in of_stackd(STACK, with_network) if each.when is When.AT_ONCE}
    later = {each.key for each in of_stackd(STACK, with_network) if each.when is When.NEXT_STACKD}

    assert at_once == {"control.group", "control.roles.operate", "control.network.clients"}
    assert later == {"control.network.listen", "control.network.events", "control.network.keys"}
    assert of_stackd(with_network, with_another_key) == (
        Difference(
            "control.network.clients", "[alice (view, aaaaaa…)]", "[alice (view, bbbbbb…)]", When.AT_ONCE
        ),
    )
