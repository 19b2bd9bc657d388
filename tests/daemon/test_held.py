"""Held sockets: made as the server would make them, kept, lost, found again."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import socket
import stat
from pathlib import Path

import pytest

from supervisor_stack.daemon.held import HeldSockets
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.listener import FIRST_FD, AddressInUse
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import Address, Hold
from tests.daemon.waiting import can_wait, connect, greet, loopback
from tests.servers import free_port, listening

NGINX = Hold(lend="nginx")
SYSTEMD = Hold(lend="systemd")
USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_client_that_comes_while_nobody_serves_is_served_later(
    sockets: HeldSockets, tmp_path: Path, kind: str
) -> None:
    address = loopback() if kind == "tcp" else Address(path=f"{tmp_path}/s")
    sockets.hold("web", NGINX, (address,))

    with connect(address) as client:
        greet(sockets.held("web")[address])
        assert client.recv(5) == b"hello"


def test_what_is_held_already_is_kept(sockets: HeldSockets) -> None:
    one, two, three = loopback(), loopback(), loopback()
    sockets.hold("web", NGINX, (one, two))
    before = sockets.held("web")

    sockets.hold("web", NGINX, (three, two))

    assert sockets.addresses("web") == (three, two)
    assert sockets.held("web")[two] == before[two]
    assert not can_wait(one)
    assert can_wait(three)


def test_a_wildcard_takes_the_place_of_one_of_its_addresses(sockets: HeldSockets) -> None:
    one = loopback()
    every = Address(host="0.0.0.0", port=one.port)
    sockets.hold("web", NGINX, (one,))

    sockets.hold("web", NGINX, (every,))

    assert sockets.addresses("web") == (every,)


def test_a_held_socket_leaves_low_numbers_free_and_is_not_inherited(sockets: HeldSockets) -> None:
    address = loopback()
    sockets.hold("web", NGINX, (address,))

    (fd,) = sockets.held("web").values()

    assert fd >= FIRST_FD
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


@pytest.mark.parametrize(("lend", "blocking"), [("nginx", False), ("address", False), ("systemd", True)])
def test_accepting_blocks_only_where_the_server_expects_it(
    sockets: HeldSockets, lend: str, blocking: bool
) -> None:
    hold = {"nginx": NGINX, "systemd": SYSTEMD}.get(lend, Hold(lend="address"))
    sockets.hold("web", hold, (loopback(),))

    (fd,) = sockets.held("web").values()

    assert os.get_blocking(fd) == blocking


@pytest.mark.parametrize("dual", [False, True])
def test_the_ipv6_wildcard_takes_ipv4_only_where_the_server_has_it_so(
    sockets: HeldSockets, dual: bool
) -> None:
    address = Address(host="::", port=free_port(), dual=dual)
    sockets.hold("web", NGINX, (address,))

    assert can_wait(Address(host="::1", port=address.port))
    assert can_wait(Address(host="127.0.0.1", port=address.port)) == dual


def test_what_is_released_refuses_its_clients(sockets: HeldSockets, tmp_path: Path) -> None:
    tcp, unix = loopback(), Address(path=f"{tmp_path}/s")
    sockets.hold("web", NGINX, (tcp, unix))

    sockets.release("web")

    assert not can_wait(tcp)
    assert not os.path.lexists(unix.path)
    assert sockets.addresses("web") == ()


# Addresses that cannot be had.


def test_an_address_in_use_is_told_apart(sockets: HeldSockets) -> None:
    address, free = loopback(), loopback()
    with listening(address), pytest.raises(AddressInUse) as caught:
        sockets.hold("web", NGINX, (free, address))

    assert caught.value.address == address
    assert sockets.addresses("web") == (free,)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_service_that_already_has_the_address_is_named(sockets: HeldSockets, host: str) -> None:
    wanted = loopback()
    held = Address(host=host, port=wanted.port)
    sockets.hold("nginx", NGINX, (held,))

    with pytest.raises(SpawnError, match=f"^cannot hold {wanted}: {held} is held for nginx$"):
        sockets.hold("web", SYSTEMD, (wanted,))


def test_an_address_of_another_machine_is_refused_with_the_words_of_the_kernel(
    sockets: HeldSockets,
) -> None:
    elsewhere = Address(host="203.0.113.1", port=free_port())

    with pytest.raises(SpawnError, match=f"^cannot hold {elsewhere}: cannot assign requested address$"):
        sockets.hold("web", NGINX, (elsewhere,))


def test_an_address_that_is_not_there_yet_can_be_held_for_a_server_that_would_take_it(
    sockets: HeldSockets,
) -> None:
    later = Address(host="203.0.113.1", port=free_port())

    sockets.hold("mysqld", Hold(lend="systemd", free_bind=True), (later,))

    assert sockets.addresses("mysqld") == (later,)


def test_a_name_is_never_looked_up(sockets: HeldSockets) -> None:
    with pytest.raises(SpawnError, match=r"^cannot hold localhost:80: localhost is not a numeric address$"):
        sockets.hold("web", NGINX, (Address(host="localhost", port=80),))


def test_a_folder_that_is_not_there_is_named(sockets: HeldSockets, tmp_path: Path) -> None:
    path = f"{tmp_path}/run/s"

    with pytest.raises(
        SpawnError, match=f"^cannot hold unix:{path}: the folder {tmp_path}/run does not exist$"
    ):
        sockets.hold("web", NGINX, (Address(path=path),))


def test_a_path_that_is_too_long_is_refused(sockets: HeldSockets, tmp_path: Path) -> None:
    with pytest.raises(SpawnError, match="too long"):
        sockets.hold("web", NGINX, (Address(path=f"{tmp_path}/{'s' * 108}"),))


# The files of unix sockets.


def test_the_file_of_a_socket_has_the_mode_that_the_server_would_give_it(
    sockets: HeldSockets, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        sockets.hold("web", Hold(lend="nginx", mode=0o666), (Address(path=f"{tmp_path}/s"),))
        after = os.umask(0o077)
    finally:
        os.umask(before)

    assert stat.S_IMODE(os.lstat(tmp_path / "s").st_mode) == 0o666
    assert after == 0o077


@pytest.mark.parametrize("user", [USER, str(pwd.getpwnam(USER).pw_uid)])
def test_the_file_of_a_socket_belongs_to_the_user_of_its_service(
    sockets: HeldSockets, tmp_path: Path, user: str
) -> None:
    sockets.hold("web", Hold(lend="nginx", user=user), (Address(path=f"{tmp_path}/s"),))

    found = os.lstat(tmp_path / "s")
    who = pwd.getpwnam(USER)
    assert (found.st_uid, found.st_gid) == (who.pw_uid, who.pw_gid)


def test_a_user_that_the_system_has_forgotten_is_named(sockets: HeldSockets, tmp_path: Path) -> None:
    with pytest.raises(SpawnError, match=r"^cannot hold a socket for ghost: no such user or group$"):
        sockets.hold("web", Hold(lend="nginx", user="ghost"), (Address(path=f"{tmp_path}/s"),))


def test_a_socket_that_a_dead_server_left_behind_is_replaced(sockets: HeldSockets, tmp_path: Path) -> None:
    address = Address(path=f"{tmp_path}/s")
    listening(address).close()
    assert os.path.lexists(address.path)

    sockets.hold("web", NGINX, (address,))

    assert can_wait(address)


def test_the_socket_of_a_living_server_is_left_alone(sockets: HeldSockets, tmp_path: Path) -> None:
    address = Address(path=f"{tmp_path}/s")
    with listening(address):
        with pytest.raises(AddressInUse):
            sockets.hold("web", NGINX, (address,))

        assert can_wait(address)


def test_a_file_that_is_no_socket_is_left_alone(sockets: HeldSockets, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")

    with pytest.raises(SpawnError, match="there is a file of that name, which is no socket"):
        sockets.hold("web", NGINX, (Address(path=str(path)),))

    assert path.read_text() == "precious"


def test_a_socket_that_lost_its_file_is_made_anew(sockets: HeldSockets, tmp_path: Path) -> None:
    address = Address(path=f"{tmp_path}/s")
    sockets.hold("web", NGINX, (address,))
    Path(address.path).unlink()

    sockets.hold("web", NGINX, (address,))

    with connect(address) as client:
        greet(sockets.held("web")[address])
        assert client.recv(5) == b"hello"


def test_a_socket_of_somebody_else_in_its_place_is_not_removed(sockets: HeldSockets, tmp_path: Path) -> None:
    address = Address(path=f"{tmp_path}/s")
    sockets.hold("web", NGINX, (address,))
    Path(address.path).unlink()
    with listening(address):
        sockets.release("web")

        assert can_wait(address)


def test_no_descriptor_is_left_open(sockets: HeldSockets, tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    with listening() as taken:
        in_use = Address(host="127.0.0.1", port=taken.getsockname()[1])
        sockets.hold("web", NGINX, (loopback(), Address(path=f"{tmp_path}/s")))
        with pytest.raises(AddressInUse):
            sockets.hold("web", NGINX, (in_use,))
        sockets.release("web")

    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_machine_without_ipv6_leaves_that_to_the_server(
    sockets: HeldSockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *args: object, **kwargs: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, *args, **kwargs)  # type: ignore[arg-type]

    address = loopback()
    monkeypatch.setattr(socket, "socket", without_ipv6)
    sockets.hold("mysqld", SYSTEMD, (address, Address(host="::1", port=address.port)))
    monkeypatch.undo()

    assert sockets.addresses("mysqld") == (address,)


def test_a_socket_is_made_with_the_rights_of_the_service(sockets: HeldSockets, tmp_path: Path) -> None:
    """Its configuration may be the service's own: it may not have root remove or make what it could not."""
    assert os.geteuid() == 0, "only root can act for another user"
    nobody = pwd.getpwnam("nobody")
    victim = tmp_path / "victim"
    victim.write_text("")
    who = Identity(nobody.pw_uid, nobody.pw_gid, [])

    with pytest.raises(SpawnError, match="permission denied"):
        sockets.hold("app", SYSTEMD, (Address(path=str(victim)),), who)

    assert victim.is_file()
    assert os.access(victim, os.W_OK), "we are ourselves again"


def test_what_is_held_already_gets_the_mode_that_it_is_to_have_now(
    sockets: HeldSockets, tmp_path: Path
) -> None:
    address = Address(path=f"{tmp_path}/s")
    sockets.hold("web", SYSTEMD, (address,))

    sockets.hold("web", Hold(lend="systemd", mode=0o600), (address,))

    assert stat.S_IMODE(Path(address.path).stat().st_mode) == 0o600
    assert can_wait(address)
