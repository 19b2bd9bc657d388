"""What is written down of services, and what is made of files that are not as they should be."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from supervisor_stack.core.state import NEVER, Copy, ExitRecord, Service, StartTimes, State, Successor
from supervisor_stack.daemon.archive import Archive, Saved, SavedRun, SavedSocket
from supervisor_stack.daemon.capture import Mark
from supervisor_stack.daemon.listener import FileId
from supervisor_stack.daemon.watch_list import Fingerprint
from supervisor_stack.spec import Address, CheckReport, Hold, ProbeSpec
from tests.core.histories import CHECK, service

ADDRESS = Address(path="/run/a.sock")
FULL = Service(
    spec=service("a", "db", hold=Hold(lend="nginx"), final_exits={7: "broken"}, env={"KEY": "secret"}),
    state=State.RELOADING,
    wanted=True,
    run=3,
    last_run=4,
    pid=11,
    successor=Successor(run=4, started=2.0, pid=12, report=CheckReport(addresses=(ADDRESS,))),
    others=(1, 2),
    deadline=12.5,
    exits=(ExitRecord(2, 1.0, "exit status 1", 0.5),),
    copy=Copy("broken", ("line 1",)),
    times=StartTimes(asked=1.0, begun=1.5, spawned=1.5, ready=None, tries=2),
)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    opened = Archive(str(tmp_path))
    opened.open()
    return opened


def write(archive: Archive, record: Service, shutting_down: bool = False) -> None:
    archive.write(
        record, {3: SavedRun(11, 77, (Mark("/a.log", 5),))}, (SavedSocket(ADDRESS),), shutting_down, {}
    )


def file_of(tmp_path: Path, name: str = "a") -> Path:
    return tmp_path / "state" / f"{name}.json"


def test_what_was_written_is_read(archive: Archive) -> None:
    runs = {3: SavedRun(11, 77, (Mark("/a.log", 5),), kernel_kills=2)}
    held = (SavedSocket(ADDRESS, FileId(1, 2)), SavedSocket(Address(host="::", port=80, dual=True)))
    # The last name is not UTF-8: a wildcard takes in whatever lies there.
    files: Fingerprint = {"/etc/a.conf": (1, 2, 3, 4, 5), "/etc/b": None, "/etc/\udcff\u20ac.conf": (1, 2)}
    archive.write(FULL, runs, held, shutting_down=True, files=files)

    (saved,) = archive.load()

    assert saved.service == FULL
    assert (saved.runs, saved.held, saved.shutting_down, saved.files) == (runs, held, True, files)


def test_what_an_earlier_version_wrote_without_times_and_files_is_read(
    archive: Archive, tmp_path: Path
) -> None:
    write(archive, FULL)
    text = json.loads(file_of(tmp_path).read_text())
    del text["record"]["times"], text["record"]["successor"]["times"], text["read"]
    file_of(tmp_path).write_text(json.dumps(text))

    assert archive.load()[0].service == msgspec.structs.replace(FULL, times=None)


def test_never_comes_back_as_never(archive: Archive) -> None:
    write(archive, msgspec.structs.replace(FULL, deadline=NEVER))

    assert archive.load()[0].service.deadline == NEVER


def test_the_test_of_a_configuration_is_not_written_down(archive: Archive) -> None:
    write(archive, msgspec.structs.replace(FULL, spec=service("a", check=CHECK, ready=ProbeSpec(type="tcp"))))

    assert archive.load()[0].service.spec.check is None


def test_only_stackd_may_read_it(archive: Archive, tmp_path: Path) -> None:
    write(archive, FULL)

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600


def test_what_was_removed_or_cleared_is_gone(archive: Archive) -> None:
    write(archive, FULL)
    archive.remove("a")
    assert archive.load() == ()

    write(archive, FULL)
    archive.clear()
    assert archive.load() == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "Input data was truncated"),
        (b"\xff\x00", "JSON is malformed"),
        (b'{"version": 1}', "missing required field"),
        (b'{"version": 1, "boot": "BOOT", "record": 5}', "Expected `object`"),
        (b'{"version": 99, "boot": "BOOT"}', "it has the form 99, and this stackd writes 1"),
    ],
)
def test_a_damaged_file_is_set_aside_and_the_rest_is_read(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes, problem: str
) -> None:
    write(archive, FULL)
    boot = msgspec.json.decode(file_of(tmp_path).read_bytes())["boot"].encode()
    file_of(tmp_path, "b").write_bytes(text.replace(b"BOOT", boot))

    assert len(archive.judge()) == 1
    assert [saved.record.name for saved in archive.load()] == ["a"]
    assert problem in caplog.text
    assert (tmp_path / "state" / "b.json.damaged").exists()
    assert not file_of(tmp_path, "b").exists()


def test_a_file_of_another_name_is_not_believed(archive: Archive, tmp_path: Path) -> None:
    write(archive, FULL)
    file_of(tmp_path).rename(file_of(tmp_path, "b"))

    assert archive.load() == ()


def test_a_file_of_another_boot_is_removed(archive: Archive, tmp_path: Path) -> None:
    write(archive, FULL)
    old = msgspec.json.decode(file_of(tmp_path).read_bytes(), type=Saved)
    file_of(tmp_path).write_bytes(msgspec.json.encode(msgspec.structs.replace(old, boot="another")))

    assert archive.judge() == ()
    assert archive.load() == ()
    assert not file_of(tmp_path).exists()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for next to nothing."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_a_full_disk_refuses_is_told_once_and_written_when_there_is_room(
    small: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor_stack.daemon.archive.WRITE_AGAIN", 0.01)
    caplog.set_level(logging.INFO)

    async def story() -> None:
        archive = Archive(str(small))
        archive.open()
        write(archive, msgspec.structs.replace(FULL, run=1))
        filler = small / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(2**20))

        write(archive, msgspec.structs.replace(FULL, run=2))
        write(archive, msgspec.structs.replace(FULL, run=3))
        assert archive.load()[0].record.run == 1  # the old one is whole

        filler.unlink()
        while archive.load()[0].record.run != 3:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(story(), 10))
    assert caplog.text.count("cannot write down the state") == 1
    assert caplog.text.count("is written down again") == 1


def test_a_folder_that_was_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Archive
) -> None:
    monkeypatch.setattr("supervisor_stack.daemon.archive.WRITE_AGAIN", 0.01)

    Path(archive.folder).rmdir()

    async def story() -> None:
        write(archive, FULL)
        while not archive.load():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(story(), 10))
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
