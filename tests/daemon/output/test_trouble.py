"""A log that cannot be written: told, waited for, and given up only when the service would have to wait."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.output.desk import Desk
from tests.servers import wait_until

CHATTER = "for n in range(60_000): print(f'{n:06d}', 'x' * 90)"
"""6 MB, and a pipe holds 1."""

LIMIT = "and is lost if that is more than 768 KiB"


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Path]:
    """A disk of 1 MB, mounted as the folder of the logs."""
    assert os.geteuid() == 0, "only root can mount a disk"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", desk.log_dir], check=True)
    yield desk.log_dir
    desk.outputs.close()
    subprocess.run(["umount", desk.log_dir], check=True)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def until_told(caplog: pytest.LogCaptureFixture, words: str) -> None:
    wait_until(lambda: any(words in line for line in told(caplog)), f"it says {words!r}")


def test_on_a_full_disk_output_waits_until_there_is_room(
    desk: Desk, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "filler").write_bytes(bytes(2**20))
    desk.run("seq", "1", "50000")
    until_told(caplog, "cannot write")
    (small_disk / "filler").unlink()
    until_told(caplog, "is written again")

    assert desk.text() == "".join(f"{n}\n" for n in range(1, 50001))
    assert told(caplog) == [
        f"app: cannot write {desk.log}: No space left on device; what it prints waits, {LIMIT}",
        f"app: {desk.log} is written again",
    ]


def test_what_is_too_much_for_the_pipe_is_lost_in_whole_lines_and_counted(
    desk: Desk, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "filler").write_bytes(bytes(2**19))
    desk.run(sys.executable, "-c", CHATTER)  # it comes to its end: nobody waits for the disk
    until_told(caplog, "cannot write")
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=20M", small_disk], check=True)
    until_told(caplog, "is written again")

    before, gap, after = re.split(r"\n?(stackd: \d+ bytes were lost here: .*)\n", desk.text())
    lost = int(gap.split()[1])
    assert gap == f"stackd: {lost} bytes were lost here: No space left on device"
    assert told(caplog)[-1] == f"app: {desk.log} is written again; {lost} bytes were lost"
    expected = "".join(f"{n:06d} {'x' * 90}\n" for n in range(60_000))
    assert before == expected[: len(before)]
    assert after == expected[-len(after) :]
    assert after.startswith(f"{60_000 - len(after.splitlines()):06d} ")
    assert lost == len(expected) - len(before) - len(after) - (expected[len(before)] == "\n")


def test_one_full_disk_does_not_hold_up_a_log_on_another(desk: Desk, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(2**20))
    other = desk.folder / "other"
    (small_disk / "web.log").symlink_to(other)
    desk.run(sys.executable, "-c", CHATTER)
    desk.run("seq", "1", "50000", name="web")
    wait_until(lambda: other.exists() and other.read_text().endswith("\n50000\n"), "web is written")


def test_a_log_folder_that_is_removed_is_made_again(desk: Desk) -> None:
    desk.run("echo", "before")
    wait_until(lambda: desk.log.exists() and desk.log.read_text() == "before\n", "it is written")
    desk.log.unlink()
    desk.log_dir.rmdir()
    desk.run("echo", "after")
    desk.outputs.close()

    assert desk.text() == "after\n"


def test_a_log_folder_that_cannot_be_made_is_told_and_waited_for(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.log_dir.rmdir()
    desk.log_dir.write_text("in the way")
    desk.run("echo", "hello")
    until_told(caplog, f"app: cannot write {desk.log}: Not a directory")
    desk.log_dir.unlink()
    until_told(caplog, f"app: {desk.log} is written again")

    assert desk.text() == "hello\n"
    assert len(told(caplog)) == 2


def test_a_silent_service_whose_log_cannot_be_opened_is_told_of(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.log.mkdir()
    desk.run("true")
    until_told(caplog, f"app: cannot write {desk.log}: Is a directory")
    desk.log.rmdir()
    until_told(caplog, f"app: {desk.log} is written again")


def test_what_is_lost_at_the_end_is_told(
    desk: Desk, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "filler").write_bytes(bytes(2**20))
    desk.run("echo", "hello")
    until_told(caplog, "cannot write")
    desk.outputs.close()

    assert told(caplog)[-1] == "app: its last 6 bytes were lost: No space left on device"
