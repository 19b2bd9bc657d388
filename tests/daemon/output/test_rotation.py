"""Old files: which there are, in which order, whatever happens in between."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor_stack.daemon.output.rotation import rotate
from tests.daemon.output.desk import Desk, spec
from tests.servers import wait_until

LINES = "for n in range(200_000): print(f'{n:06d}', 'x' * (n % 80))"
"""9 MB."""


class Killed(BaseException):
    """In the place of SIGKILL."""


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_newest_old_file_is_number_one_and_the_oldest_goes(tmp_path: Path) -> None:
    for number in range(1, 5):
        (tmp_path / "log").write_text(str(number))
        rotate(str(tmp_path / "log"), 2)

    assert contents(tmp_path) == {"log.1": "4", "log.2": "3"}


def test_without_old_files_the_log_goes(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1")
    rotate(str(tmp_path / "log"), 0)

    assert contents(tmp_path) == {}


def test_what_is_more_than_is_kept_now_goes(tmp_path: Path) -> None:
    for name in ("log", "log.1", "log.2", "log.3", "log.4"):
        (tmp_path / name).write_text(name)
    rotate(str(tmp_path / "log"), 2)

    assert contents(tmp_path) == {"log.1": "log", "log.2": "log.1"}


@pytest.mark.parametrize("step", range(6))
def test_one_that_is_interrupted_and_done_again_drops_only_the_oldest(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("log", "log.1", "log.2", "log.3", "log.4"):
        (tmp_path / name).write_text(name)
    left = step

    def killed_at_last(rename: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def step_or_die(old: str, new: str) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            rename(old, new)

        return step_or_die

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed_at_last(os.rename))
        try:
            rotate(str(tmp_path / "log"), 4)
        except Killed:
            patch.undo()
            rotate(str(tmp_path / "log"), 4)

    expected = {"log.1": "log", "log.2": "log.1", "log.3": "log.2", "log.4": "log.3"}
    assert contents(tmp_path) == expected


def test_all_lines_of_a_quick_writer_are_there_whole_and_in_order(desk: Desk) -> None:
    desk.run(sys.executable, "-c", LINES, service=spec(max_bytes=800_000, keep=50))
    desk.outputs.close()

    assert len(desk.files()) > 10
    assert desk.text().splitlines() == [f"{n:06d} {'x' * (n % 80)}" for n in range(200_000)]
    for path in desk.files()[:-1]:
        assert 800_000 <= path.stat().st_size < 800_100
        assert path.read_bytes().endswith(b"\n")


def test_no_more_is_kept_than_was_wanted_and_that_is_the_newest(desk: Desk) -> None:
    desk.run(sys.executable, "-c", LINES, service=spec(max_bytes=800_000, keep=2))
    desk.outputs.close()

    assert [path.name for path in desk.files()] == ["app.log.2", "app.log.1", "app.log"]
    lines = desk.text().splitlines()
    assert lines == [f"{n:06d} {'x' * (n % 80)}" for n in range(200_000 - len(lines), 200_000)]


def test_a_log_without_a_limit_grows(desk: Desk) -> None:
    desk.run(sys.executable, "-c", LINES)
    desk.outputs.close()

    assert desk.files() == [desk.log]
    assert len(desk.text().splitlines()) == 200_000


def test_a_line_without_an_end_is_torn_at_last(desk: Desk) -> None:
    desk.run(sys.executable, "-c", "print('x' * 5_000_000)", service=spec(max_bytes=1000))
    desk.outputs.close()

    assert desk.text() == "x" * 5_000_000 + "\n"
    assert [path.stat().st_size for path in desk.files()[:-1]] == [1000 + 2**20] * 4


def test_a_new_file_has_the_owner_and_the_rights_of_the_old_one(desk: Desk) -> None:
    desk.run("echo", "first", service=spec(max_bytes=6))
    wait_until(lambda: desk.log.exists() and desk.text() == "first\n", "it is written")
    desk.log.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(desk.log, 1, 2)
    before = desk.log.stat()
    desk.run("echo", "second", service=spec(max_bytes=6))
    desk.outputs.close()

    after = desk.log.stat()
    assert desk.log.read_text() == "second\n"
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o604


def test_other_limits_count_at_once(desk: Desk) -> None:
    desk.run("printf", "first\\nsecond\\n", service=spec())
    wait_until(lambda: desk.log.exists() and desk.text() == "first\nsecond\n", "it is written")
    desk.outputs.retune(spec(max_bytes=6, keep=1))
    desk.run("echo", "third")
    desk.outputs.close()

    assert [path.read_text() for path in desk.files()] == ["first\nsecond\n", "third\n"]


def test_a_rotation_that_cannot_be_done_loses_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    (desk.log_dir / "app.log.1").mkdir()
    (desk.log_dir / "app.log.1" / "in the way").touch()
    desk.run(sys.executable, "-c", LINES, service=spec(max_bytes=800_000, keep=1))
    desk.outputs.close()

    assert len(desk.log.read_text().splitlines()) == 200_000
    (told, *_) = [record.message for record in caplog.records]
    assert told == f"app: cannot rotate {desk.log}: Is a directory; it grows on"
    assert len(caplog.records) == 11  # once for each 800 KB


def test_a_link_to_a_file_stays_one(desk: Desk) -> None:
    elsewhere = desk.folder / "elsewhere"
    desk.log.symlink_to(elsewhere)
    desk.run("printf", "1\\n2\\n", service=spec(max_bytes=2))
    desk.run("echo", "3", service=spec(max_bytes=2))
    desk.outputs.close()

    assert desk.log.readlink() == elsewhere
    assert (elsewhere.read_text(), Path(f"{elsewhere}.1").read_text()) == ("3\n", "2\n")
