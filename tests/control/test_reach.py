"""Whether anybody listens at the control socket."""

from __future__ import annotations

import grp
import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from supervisor_stack import errors
from supervisor_stack.control.client import StackClient
from supervisor_stack.control.reach import knock


def test_no_socket_means_that_stackd_is_not_running(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/control.sock"

    with pytest.raises(errors.UnreachableError) as caught:
        StackClient(endpoint)

    assert caught.value.message == f"cannot reach stackd at {endpoint}: it is not running"


def test_a_stale_socket_means_that_stackd_is_not_running(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))

    with pytest.raises(errors.UnreachableError) as caught:
        StackClient(f"ipc://{path}")

    assert caught.value.message == f"cannot reach stackd at ipc://{path}: it is not running"


def test_a_path_that_no_socket_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.UnreachableError) as caught:
        StackClient(f"ipc://{tmp_path}/{'x' * 108}")

    assert caught.value.message.endswith(": AF_UNIX path too long")


@pytest.mark.parametrize(
    ("endpoint", "cause"),
    [
        ("tcp://127.0.0.1:9001", "the network takes keys"),
        ("inproc://stackd", "it is not an ipc:// endpoint"),
        (
            "/run/stackd/control.sock",
            "it is not an ipc:// endpoint; did you mean ipc:///run/stackd/control.sock?",
        ),
        ("ipc://", "it is not an ipc:// endpoint"),
    ],
)
def test_only_ipc_endpoints_are_reached(endpoint: str, cause: str) -> None:
    with pytest.raises(errors.RequestError) as caught:
        StackClient(endpoint)

    assert caught.value.message == f"cannot reach stackd at {endpoint}: {cause}"


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user who is not root: nobody, when the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that others may look into, unlike tmp_path, and all folders above it too."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_socket_of_others_names_its_owner_group_and_mode(public_folder: Path) -> None:
    path = public_folder / "control.sock"
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o000)

        with without_rights(), pytest.raises(errors.NotPermittedError) as caught:
            knock(f"ipc://{path}", 1.0)

    assert caught.value.message == f"cannot reach stackd at ipc://{path}: permission denied"
    assert caught.value.detail[0] == f"{path} belongs to user {user} and group {group}, mode 0000"
    assert caught.value.detail[1].startswith("you are ")


def test_a_closed_folder_is_told_as_such(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o000)

    with without_rights(), pytest.raises(errors.NotPermittedError) as caught:
        knock(f"ipc://{closed}/control.sock", 1.0)

    assert caught.value.detail[0].endswith(f", who may not look into {closed}")


def test_a_listener_that_accepts_nobody_is_not_waited_for_longer_than_told(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))

        with pytest.raises(errors.TimedOutError) as caught:
            knock(f"ipc://{path}", 0.05)

    assert caught.value.message == f"cannot reach stackd at ipc://{path}: it accepts no connection"
