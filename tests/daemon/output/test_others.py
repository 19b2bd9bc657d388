"""What others do to a log while it is written: logrotate, a person."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from supervisor_stack.daemon.output.log_file import LogFile
from supervisor_stack.daemon.output.plumbing import Spyglass
from tests.daemon.output.desk import Desk
from tests.servers import wait_until


def written(desk: Desk, text: str) -> None:
    """Print it, and wait until it is in the log."""
    desk.run("printf", text)
    wait_until(lambda: desk.log.exists() and desk.log.read_text().endswith(text), f"{text!r} is written")


def test_a_log_that_was_renamed_is_begun_anew(desk: Desk) -> None:
    written(desk, "before\n")
    desk.log.rename(desk.log_dir / "aside")
    written(desk, "after\n")

    assert (desk.log_dir / "aside").read_text() == "before\n"
    assert desk.log.read_text() == "after\n"


def test_a_log_that_was_replaced_is_gone_on_with(desk: Desk) -> None:
    written(desk, "before\n")
    desk.log.rename(desk.log_dir / "aside")
    desk.log.write_text("by somebody else\n")
    written(desk, "after\n")

    assert desk.log.read_text() == "by somebody else\nafter\n"


def test_a_log_that_was_removed_is_made_anew(desk: Desk) -> None:
    written(desk, "before\n")
    desk.log.unlink()
    written(desk, "after\n")

    assert desk.log.read_text() == "after\n"


def test_a_log_that_was_truncated_goes_on_at_its_beginning(desk: Desk) -> None:
    written(desk, "before\n" * 1000)
    os.truncate(desk.log, 0)
    written(desk, "after\n")

    assert desk.log.read_text() == "after\n"


def test_what_others_append_is_not_overwritten(desk: Desk) -> None:
    written(desk, "before\n")
    with desk.log.open("a") as file:
        file.write("by somebody else\n")
    written(desk, "after\n")

    assert desk.log.read_text() == "before\nby somebody else\nafter\n"


def test_a_log_that_was_copied_and_truncated_is_all_there(desk: Desk) -> None:
    written(desk, "before\n")
    shutil.copy(desk.log, desk.log_dir / "app.log.1")
    os.truncate(desk.log, 0)
    written(desk, "after\n")

    assert desk.text() == "before\nafter\n"


def test_a_log_that_is_truncated_between_the_look_and_the_write_has_no_hole(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.write(into, b"after\n")
    path = tmp_path / "log"
    path.write_bytes(b"before\n" * 100_000)
    spyglass = Spyglass()
    file = LogFile(str(path), 0, 0, spyglass)
    file.settle()
    os.truncate(path, 0)

    assert file.take(out, 100) == 6
    os.write(into, b"and so on\n")
    file.take(out, 100)

    assert path.read_bytes() == b"after\nand so on\n"
    file.close()
    spyglass.close()
    os.close(out)
    os.close(into)


def test_a_file_that_begins_with_a_hole_is_left_as_it_is(desk: Desk) -> None:
    with desk.log.open("wb") as file:
        file.truncate(200_000)
        file.seek(200_000)
        file.write(b"before\n")
    desk.run("echo", "after")
    desk.outputs.close()

    assert desk.log.read_bytes() == bytes(200_000) + b"before\nafter\n"


def test_a_log_that_is_no_file_is_written_to_all_the_same(desk: Desk) -> None:
    reader, writer = os.pipe()
    desk.log.symlink_to(f"/proc/{os.getpid()}/fd/{writer}")
    desk.run("printf", "1\\n2\\n")
    desk.outputs.close()

    assert os.read(reader, 100) == b"1\n2\n"
    os.close(reader)
    os.close(writer)
