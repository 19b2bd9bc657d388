"""Descriptors are kept and handed over as sd_notify(3) and sd_listen_fds(3) say."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from benchmarks.descriptor_store import DescriptorStore
from tests.servers import wait_until

TELLS = """
import os
fds = range(3, 3 + int(os.environ.get("LISTEN_FDS", 0)))
told = [os.environ.get("LISTEN_PID") == str(os.getpid()), os.environ.get("LISTEN_FDNAMES")]
print(*told, *(os.readlink(f"/proc/self/fd/{fd}") for fd in fds), flush=True)
"""


def notify(folder: Path, text: str, *fds: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(folder / "notify-systemd.sock"))
        socket.send_fds(sender, [text.encode()], fds)


def told(store: DescriptorStore, folder: Path) -> str:
    """What a command is given that the store launches."""
    with (folder / "out").open("wb") as output:
        process, at = store.launch([sys.executable, "-c", TELLS], folder, output)
        assert process.wait() == 0
    assert at > 0
    return (folder / "out").read_text().strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    return tmp_path


def test_what_was_stored_comes_back_under_its_name(folder: Path) -> None:
    with DescriptorStore(folder) as store, (folder / "one").open() as one, (folder / "two").open() as two:
        notify(folder, "FDSTORE=1\nFDNAME=web", one.fileno(), two.fileno())
        notify(folder, "READY=1")
        wait_until(lambda: store.names == ["web", "web"], "both are kept")

        assert told(store, folder) == f"True web:web {folder}/one {folder}/two"
        assert told(store, folder) == f"True web:web {folder}/one {folder}/two"


def test_what_was_removed_is_not_there_any_more(folder: Path) -> None:
    with DescriptorStore(folder) as store, (folder / "one").open() as one, (folder / "two").open() as two:
        notify(folder, "FDSTORE=1\nFDNAME=web", one.fileno())
        notify(folder, "FDSTORE=1\nFDNAME=db", two.fileno())
        notify(folder, "FDSTOREREMOVE=1\nFDNAME=web")
        wait_until(lambda: store.names == ["db"], "one is kept")

        assert told(store, folder) == f"True db {folder}/two"


def test_the_same_descriptor_is_kept_once_and_none_where_none_is_to_be(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the kernel names them
    with DescriptorStore(folder) as store, (folder / "one").open() as one:
        for _ in range(3):
            notify(folder, "FDSTORE=1", one.fileno())
        notify(folder, "FDSTOREREMOVE=1\nFDNAME=other")
        wait_until(lambda: store.names == ["stored"], "it is kept")
    with DescriptorStore(folder, keeps=False) as store, (folder / "one").open() as one:
        notify(folder, "FDSTORE=1", one.fileno())
        assert told(store, folder) == "False None"

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
