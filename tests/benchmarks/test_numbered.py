"""Lost, doubled, torn and misplaced lines are found, in one file and across rotations."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bystander
from benchmarks.bystander import Written, counts, line
from benchmarks.numbered import Lines, LogReader, Verdict
from tests.servers import wait_until

PID = 4711


def text(*numbers: int, pid: int = PID) -> bytes:
    return b"".join(line(number, pid) for number in numbers)


def judge(*pieces: bytes, written: int, refused: int = 0) -> Verdict:
    lines = Lines()
    for piece in pieces:
        lines.feed(piece)
    return lines.verdict({PID: Written(written, refused, 0.0)})


def test_all_lines_in_their_order_are_good() -> None:
    assert judge(text(1, 2, 3), written=3) == Verdict(3, 0, 0, 0, 0, 0.0)
    assert judge(text(1, 2, 3), written=3).is_good


def test_a_line_may_come_in_pieces() -> None:
    whole = text(1, 2, 3)

    assert judge(whole[:150], whole[150:151], whole[151:], written=3).is_good


@pytest.mark.parametrize(
    ("numbers", "written", "lost"),
    [((2, 3), 3, 1), ((1, 4), 4, 2), ((1, 2), 5, 3), ((), 7, 7)],
    ids=["the first", "in the middle", "the last", "all"],
)
def test_a_lost_line_is_found_wherever_it_was(numbers: tuple[int, ...], written: int, lost: int) -> None:
    verdict = judge(text(*numbers), written=written)

    assert verdict.lost == lost
    assert not verdict.is_good


def test_what_a_pipe_without_a_reader_refused_is_lost_whether_others_follow_or_not() -> None:
    assert judge(text(1, 4), written=2, refused=2).lost == 2
    assert judge(text(1, 2), written=2, refused=2).lost == 2


def test_a_doubled_line_is_found() -> None:
    verdict = judge(text(1, 2, 2, 3, 1), written=3)

    assert (verdict.doubled, verdict.lost, verdict.misplaced) == (2, 0, 0)
    assert not verdict.is_good


def test_a_line_that_comes_after_a_later_one_is_not_lost_but_misplaced() -> None:
    verdict = judge(text(1, 3, 2, 4), written=4)

    assert (verdict.misplaced, verdict.lost, verdict.doubled) == (1, 0, 0)
    assert not verdict.is_good


@pytest.mark.parametrize(
    "torn",
    [line(2, PID)[:40] + b"\n", line(2, PID)[:40] + line(3, PID), b"\n", line(2, PID)[:-2] + b"yy\n"],
    ids=["cut off", "run into the next", "empty", "spoilt"],
)
def test_a_torn_line_is_found_and_counts_as_lost_too(torn: bytes) -> None:
    verdict = judge(text(1) + torn, written=2)

    assert (verdict.torn, verdict.lost) == (1, 1)


def test_an_end_without_its_newline_is_torn() -> None:
    assert judge(text(1, 2)[:-1], written=2).torn == 1


def test_two_writers_are_told_apart() -> None:
    lines = Lines()
    lines.feed(text(1, 2) + text(1, pid=9) + text(3) + text(3, pid=9))

    verdict = lines.verdict({PID: Written(3, 0, 0.1), 9: Written(3, 0, 0.4)})

    assert verdict == Verdict(6, 1, 0, 0, 0, 0.4)


def rotate(log: Path, keep: int) -> None:
    for number in range(keep, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    log.rename(log.with_name(f"{log.name}.1"))


def append(log: Path, *numbers: int) -> None:
    with log.open("ab") as file:
        file.write(text(*numbers))


def read(reader: LogReader, lines: Lines) -> None:
    for piece in reader.read_on():
        lines.feed(piece)


def test_rotated_files_are_read_in_order_whenever_one_looks(tmp_path: Path) -> None:
    log, lines = tmp_path / "writer.log", Lines()
    reader = LogReader(log)
    read(reader, lines)  # there is nothing yet
    append(log, 1, 2)
    rotate(log, 9)
    append(log, 3)
    read(reader, lines)
    append(log, 4)
    for number in range(5, 16):
        rotate(log, 20)
        append(log, number)
    read(reader, lines)
    rotate(log, 20)
    read(reader, lines)  # in the middle of a rotation: the new file is not there yet
    append(log, 16)
    read(reader, lines)
    reader.close()

    assert lines.verdict({PID: Written(16, 0, 0.0)}).is_good


def test_a_file_that_is_deleted_before_it_was_read_is_no_silent_loss(tmp_path: Path) -> None:
    log, lines = tmp_path / "writer.log", Lines()
    reader = LogReader(log)
    append(log, 1)
    read(reader, lines)
    rotate(log, 1)
    append(log, 2)
    (tmp_path / "writer.log.1").unlink()

    with pytest.raises(AssertionError, match="deleted by a rotation"):
        read(reader, lines)
    reader.close()


def test_the_writer_says_how_many_lines_it_wrote_and_writes_what_was_kept_back(tmp_path: Path) -> None:
    lines = Lines()
    argv = [sys.executable, bystander.__file__, "writer", str(tmp_path), "20000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        # Nobody reads: the pipe, 64 KiB, is full after 655 lines.
        wait_until(lambda: is_asleep_in_a_pipe(writer.pid), "the writer has to wait")
        lines.feed(os.read(writer.stdout.fileno(), 1 << 20))
        while counts(tmp_path)[writer.pid].lines < 2000:
            lines.feed(os.read(writer.stdout.fileno(), 1 << 20))
        writer.send_signal(signal.SIGTERM)
        lines.feed(writer.stdout.read())

    (written,) = counts(tmp_path).values()
    assert lines.verdict(counts(tmp_path)).is_good
    assert written.lines >= 2000
    assert written.refused == 0
    assert written.blocked > 0


def is_asleep_in_a_pipe(pid: int) -> bool:
    """Whether it waits for room in one (proc_pid_wchan(5))."""
    return "pipe_write" in Path(f"/proc/{pid}/wchan").read_text()


def test_a_writer_that_nobody_reads_any_more_counts_what_was_refused(tmp_path: Path) -> None:
    argv = [sys.executable, bystander.__file__, "writer", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        wait_until(lambda: bool(counts(tmp_path)), "it writes")
        writer.stdout.close()
        wait_until(lambda: counts(tmp_path)[writer.pid].refused > 0, "its lines are refused")
        writer.send_signal(signal.SIGTERM)

    assert writer.returncode == 0
