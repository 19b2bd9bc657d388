"""How a run gets the sockets that are held for its service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor_stack.daemon import launch
from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.lend import Loan, lend
from supervisor_stack.spec import Address, Hold, ServiceSpec
from tests.daemon.waiting import loopback

ONE, TWO = Address(host="127.0.0.1", port=8000), Address(path="/run/app.sock")
SYSTEMD = Hold(lend="systemd")

# What a service sees: sd_listen_fds(3) by hand, and every other descriptor that it got.
SERVICE = """
import json, os, socket
fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
told = {
    name: value for name, value in os.environ.items() if name.startswith("LISTEN_") or name == "KEPT"
}
names = []
for fd in range(3, 3 + int(told["LISTEN_FDS"])):
    with socket.socket(fileno=os.dup(fd)) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        names.append(listener.getsockname())
print(json.dumps({"pid": os.getpid(), "told": told, "names": names, "fds": fds}))
"""


def test_nginx_is_told_the_numbers_each_with_a_semicolon() -> None:
    assert lend(Hold(lend="nginx"), {ONE: 100, TWO: 101}) == Loan({"NGINX": "100;101;"}, (100, 101))


def test_who_looks_for_addresses_is_told_nothing() -> None:
    assert lend(Hold(lend="address"), {ONE: 100, TWO: 101}) == Loan({}, (100, 101))


@pytest.mark.parametrize("hold", [Hold(lend="nginx"), Hold(lend="address"), SYSTEMD])
def test_where_nothing_is_held_nothing_is_lent(hold: Hold) -> None:
    assert lend(hold, {}) == Loan()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/run/app.sock", "unix-app.sock"),
        ("/run/extra", "unix-extra"),
        ("/run/a:b", "unix-a_b"),
        ("/a\n", "unix"),
    ],
)
def test_a_name_means_nothing_and_separates_nothing(path: str, name: str) -> None:
    loan = lend(SYSTEMD, {ONE: 100, Address(path=path): 101})

    assert loan.env["LISTEN_FDNAMES"] == f"tcp-8000:{name}"


def seen(
    sockets: HeldSockets, before: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> tuple[dict[str, object], int]:
    """What a service sees that gets all held sockets, and its pid. `before`: other programs of its chain."""
    loan = lend(SYSTEMD, sockets.held("app"))
    with subprocess.Popen(
        (*before, *loan.argv, sys.executable, "-c", SERVICE),
        env={**os.environ, **(env or {}), **loan.env},
        pass_fds=loan.fds,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        out, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(out), process.pid


def test_a_service_finds_its_sockets_as_systemd_would_hand_them_over(
    sockets: HeldSockets, tmp_path: Path
) -> None:
    # More than the nine descriptors that a POSIX shell knows.
    tcp = loopback()
    unix = tuple(Address(path=f"{tmp_path}/{number}.sock") for number in range(10))
    sockets.hold("app", SYSTEMD, (tcp, *unix))

    service, pid = seen(sockets)

    assert service["pid"] == pid
    assert service["told"] == {
        "LISTEN_PID": str(pid),
        "LISTEN_FDS": "11",
        "LISTEN_FDNAMES": ":".join((f"tcp-{tcp.port}", *(f"unix-{number}.sock" for number in range(10)))),
    }
    assert service["names"] == [[tcp.host, tcp.port], *(each.path for each in unix)]


def test_a_service_gets_no_descriptor_twice(sockets: HeldSockets) -> None:
    sockets.hold("app", SYSTEMD, (loopback(), loopback()))

    service, _ = seen(sockets)

    # The last one is that of the listing itself.
    assert service["fds"] == [0, 1, 2, 3, 4, 5]


def test_the_pid_is_told_behind_all_other_programs_of_the_chain(sockets: HeldSockets) -> None:
    spec = ServiceSpec(name="app", argv=(), oom_score_adj=0, nice=0, limits={"core": 0})
    sockets.hold("app", SYSTEMD, (loopback(),))

    service, pid = seen(sockets, before=launch.chain(spec))

    assert service["told"] == {"LISTEN_PID": str(pid), "LISTEN_FDS": "1"} | {
        "LISTEN_FDNAMES": f"tcp-{sockets.addresses('app')[0].port}"
    }


def test_the_environment_of_a_service_is_not_run_on_the_way(sockets: HeldSockets, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text("echo trapped; exit 1\n")
    sockets.hold("app", SYSTEMD, (loopback(),))

    service, _ = seen(
        sockets, env={"BASH_ENV": str(trap), "BASH_FUNC_export%%": "() { exit 1; }", "KEPT": "a b\n$c"}
    )

    told = service["told"]
    assert isinstance(told, dict)
    assert told["KEPT"] == "a b\n$c"


def test_what_stackd_was_given_itself_is_not_passed_on() -> None:
    inherited = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a", "NGINX": "3;"}

    assert launch.inherited({**inherited, "KEPT": "1"}) == {"KEPT": "1"}
