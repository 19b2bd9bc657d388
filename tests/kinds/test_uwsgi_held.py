"""The real uWSGI takes over the sockets that were found to be held for it, and leaves them as they are."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from supervisor_stack.daemon.listener import US, listen
from supervisor_stack.spec import Address, Hold
from tests.kinds.real import free_ports
from tests.kinds.uwsgi_instance import Run, Site, Visit, visit


def taken_over(run: Run) -> int:
    return run.words.count(" inherited ")


@pytest.mark.parametrize(
    "option",
    ["socket = :{port}", "uwsgi-socket = 0.0.0.0:{port}", "socket = 127.0.0.1:{port}",
     "socket = [::1]:{port}", "socket = [::]:{port}", "socket = %d{port}.sock", "socket = %d/{port}.sock",
     "shared-socket = :{port}\nsocket = =0", "shared-socket = %d{port}.sock\nsocket = =0"],
)  # fmt: skip
def test_it_takes_over_what_is_held_for_it_and_answers_who_came_before(tmp_path: Path, option: str) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, option.format(port=port)) as site:
        (address,) = site.hold().addresses
        early = Visit(address.dial)

        run = site.start()

        assert int(early.answer()) in run.wait_for_workers(1)
        assert taken_over(run) == 1


@pytest.mark.parametrize(
    "option",
    ["socket = localhost:{port}", "socket = 127.1:{port}", "socket = [0::1]:{port}", "socket = {port}.sock",
     "socket = 127.0.0.1:0{port}", "http = 127.0.0.1:{port}", "socket = @{port}",
     "shared-socket = [::1]:{port}\nsocket = =0"],
)  # fmt: skip
def test_what_it_would_not_take_over_is_not_held(tmp_path: Path, option: str) -> None:
    (port, other) = free_ports(2)
    with Site(tmp_path, f"{option.format(port=port)}\nsocket = 127.0.0.1:{other}") as site:
        hold = site.facts().hold

        assert hold is not None
        assert hold.addresses == (Address(host="127.0.0.1", port=other),)
        assert not hold.handover


def test_it_looks_for_the_very_letters_that_are_written(tmp_path: Path) -> None:
    # Would a future uWSGI take these over, they could be held.
    one, two, three = free_ports(3)
    options = f"socket = 127.1:{one}\nsocket = [0::1]:{two}\nsocket = 127.0.0.1:{three}"
    with Site(tmp_path, options) as site:
        hold = Hold(lend="address")
        for address in (Address(host="127.0.0.1", port=one), Address(host="::1", port=two)):
            listener = listen(address, hold, US)
            assert listener
            site.held[address] = listener.fd

        run = site.start()

        assert run.wait() == 1
        assert taken_over(run) == 1
        assert f"another instance of uWSGI is running on the same address (127.1:{one})" in run.words


@pytest.mark.parametrize("options", ["", "umask = 027", "chmod-socket = 660", "chmod-socket = 1"])
def test_a_held_unix_socket_is_as_uwsgi_would_have_made_it(tmp_path: Path, options: str) -> None:
    with Site(tmp_path, f"socket = %dapp.sock\n{options}") as site:
        path = tmp_path / "app.sock"
        facts = site.hold()
        held = path.stat()
        path.unlink()
        site.let_go()
        site.start_as(facts).wait_for_workers(1)
        made = path.stat()

    assert (held.st_mode, held.st_uid, held.st_gid) == (made.st_mode, made.st_uid, made.st_gid)


def test_a_held_unix_socket_survives_reloads_and_the_end_of_an_instance_with_vacuum(tmp_path: Path) -> None:
    with Site(tmp_path, "socket = %dapp.sock\nvacuum = true") as site:
        run = site.start()
        address = Address(path=f"{tmp_path}/app.sock")
        file = (tmp_path / "app.sock").stat()
        workers: set[int] = set()
        for _ in range(2):
            workers = run.wait_for_workers(1, others_than=workers)
            run.process.send_signal(signal.SIGHUP)
        workers = run.wait_for_workers(1, others_than=workers)
        assert int(visit(address)) in workers

        run.order()

        assert run.wait() == 0
        assert "changed inode. Skip removal" in run.words
        left = (tmp_path / "app.sock").stat()
        assert (left.st_ino, left.st_mode, left.st_uid) == (file.st_ino, file.st_mode, file.st_uid)


def test_with_shutdown_sockets_nothing_is_held_as_it_would_be_shut_down(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, f"socket = 127.0.0.1:{port}\nshutdown-sockets = true") as site:
        facts = site.facts()
        assert facts.hold is None
        assert "shutdown-sockets" in facts.no_hold
        address = Address(host="127.0.0.1", port=port)
        listener = listen(address, Hold(lend="address"), US)
        assert listener
        site.held[address] = listener.fd
        run = site.start_as(facts)
        run.wait_for_workers(1)

        run.order()

        assert run.wait() == 0
        with socket.socket(fileno=os.dup(listener.fd)) as held:
            assert not held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_shared_socket_that_is_not_held_listens_nowhere(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with Site(tmp_path, f"shared-socket = 127.0.0.1:{port}\nsocket = =0") as site:
        run = site.start_as(site.facts())
        run.wait_for_workers(1)

        with pytest.raises(ConnectionRefusedError):
            visit(Address(host="127.0.0.1", port=port))


def test_what_a_start_does_before_it_gives_up_its_rights_is_done(tmp_path: Path) -> None:
    # With any other value of UWSGI_RELOADS neither this nor chroot would happen.
    with Site(tmp_path, "socket = %dapp.sock\nhook-pre-jail = write:%dhooked yes") as site:
        site.start().wait_for_workers(1)

        assert (tmp_path / "hooked").read_text() == "yes"


def test_no_pid_file_is_written_that_two_runs_could_dispute(tmp_path: Path) -> None:
    names = ("pidfile", "pidfile2", "safe-pidfile", "safe-pidfile2")
    options = "\n".join(f"{name} = %d{name}" for name in names)
    with Site(tmp_path, f"socket = %dapp.sock\n{options}") as site:
        site.start().wait_for_workers(1)

        assert not [name for name in names if (tmp_path / name).exists()]
