"""stackctl logs -f: what comes, whatever happens to the files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from supervisor_stack.control.parts import Detail
from tests.cli.logs.conftest import Logs, at
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, following, lines, service
from tests.peer import Peer


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_it_begins_with_the_last_lines_and_goes_on(peer: Peer, logs: Logs) -> None:
    with following("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1") as process:
        assert lines(process, 1) == [at(6, "db")]

        append(logs.db, "more\n")
        assert lines(process, 1) == ["more\n"]


def test_a_line_that_is_half_written_comes_when_it_is_whole(peer: Peer, logs: Logs) -> None:
    logs.db.write_text("whole\nha")
    with following("--socket", peer.endpoint, "logs", "db", "-f") as process:
        assert lines(process, 1) == ["whole\n"]

        append(logs.db, "lf\n")
        assert lines(process, 1) == ["half\n"]


def test_a_log_is_followed_across_rename_and_copytruncate(peer: Peer, logs: Logs) -> None:
    with following("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1") as process:
        lines(process, 1)

        renamed = logs.db.rename(f"{logs.db}.1")
        append(renamed, "into the renamed one\n")
        assert lines(process, 1) == ["into the renamed one\n"]
        logs.db.write_text("new\n")
        assert lines(process, 1) == ["new\n"]
        append(renamed, "late\n")
        assert lines(process, 1) == ["late\n"]

        shutil.copy(logs.db, f"{logs.db}.copy")
        os.truncate(logs.db, 0)
        append(logs.db, "5\n")
        assert lines(process, 1) == ["5\n"]


def test_a_log_and_its_folder_may_come_later(peer: Peer, shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "db.log"
    other = tmp_path / "web.log"
    other.write_text("begin\n")
    shop.services = {name: service(name, detail=Detail(log=str(path))) for name, path in
                     (("db", path), ("web", other))}  # fmt: skip
    with following("--socket", peer.endpoint, "logs", "-f") as process:
        assert lines(process, 1) == ["web  | begin\n"]

        path.parent.parent.mkdir()
        append(other, "the folder is there\n")
        assert lines(process, 1) == ["web  | the folder is there\n"]
        path.parent.mkdir()
        path.write_text("a\n")
        assert lines(process, 1) == ["db   | a\n"]

        shutil.rmtree(path.parent.parent)
        path.parent.mkdir(parents=True)
        path.write_text("b\n")
        assert lines(process, 1) == ["db   | b\n"]


def test_the_file_behind_a_link_is_followed_across_its_rotation(
    peer: Peer, logs: Logs, tmp_path: Path
) -> None:
    real = tmp_path / "real" / "db.log"
    real.parent.mkdir()
    real.write_text("a\n")
    logs.db.unlink()
    logs.db.symlink_to(real)
    with following("--socket", peer.endpoint, "logs", "db", "-f") as process:
        assert lines(process, 1) == ["a\n"]
        # The first may be found by a look of before it waited, and still wake it.
        for text in ("one\n", "two\n"):
            append(real, text)
            assert lines(process, 1) == [text]

        real.rename(f"{real}.1")
        real.write_text("b\n")
        assert lines(process, 1) == ["b\n"]


def test_what_comes_together_is_put_in_order(peer: Peer, logs: Logs) -> None:
    with following("--socket", peer.endpoint, "logs", "-f", "-n", "1") as process:
        lines(process, 1)

        # Stopped, it finds all of it at once.
        process.send_signal(signal.SIGSTOP)
        append(logs.web, at(11, "second") + "  and its traceback\n" + at(13, "fourth"))
        append(logs.db, at(10, "first") + at(12, "third"))
        process.send_signal(signal.SIGCONT)

        assert [line.partition("| ")[2] for line in lines(process, 5)] == [
            at(10, "first"), at(11, "second"), "  and its traceback\n", at(12, "third"), at(13, "fourth"),
        ]  # fmt: skip


def test_json_lines_follow_with_the_time_of_the_line_that_they_belong_to(peer: Peer, logs: Logs) -> None:
    with following("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1", "--json") as process:
        lines(process, 1)

        append(logs.db, "  more of it\n")

        (line,) = lines(process, 1)
    assert json.loads(line) == {
        "service": "db", "file": str(logs.db), "time": "2026-11-26T12:00:06.000Z", "line": "  more of it",
    }  # fmt: skip


def test_a_log_in_another_zone_is_noticed(peer: Peer, logs: Logs) -> None:
    """Django with TIME_ZONE = "UTC" on a server in Berlin."""
    now = datetime.now(UTC)
    words = ("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1", "--json")
    with following(*words, TZ="Europe/Berlin") as process:
        lines(process, 1)
        append(logs.db, f"{now:%Y-%m-%d %H:%M:%S},000 INFO app: hello\n")
        (line,) = lines(process, 1)

    assert json.loads(line)["time"] == f"{now:%Y-%m-%dT%H:%M:%S}.000Z"


def test_a_flood_arrives_whole(peer: Peer, logs: Logs) -> None:
    with following("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1") as process:
        lines(process, 1)
        wanted = [f"line {number}\n" for number in range(200_000)]
        for rotation in range(5):
            append(logs.db, "".join(wanted[rotation * 40_000 : (rotation + 1) * 40_000]))
            for number in range(rotation, 0, -1):
                Path(f"{logs.db}.{number}").rename(f"{logs.db}.{number + 1}")
            logs.db.rename(f"{logs.db}.1")
            logs.db.touch()

        assert lines(process, len(wanted)) == wanted


def test_a_reader_that_leaves_ends_it_although_nothing_comes(peer: Peer, logs: Logs) -> None:
    command = [*STACKCTL, "--socket", peer.endpoint, "logs", "db", "-f"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        assert lines(process, 1) == [at(0, "db")]
        assert process.stdout
        process.stdout.close()

        assert process.wait(DEADLINE) == 141
        assert process.stderr
        assert process.stderr.read() == ""
    assert logs.db.exists()


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("instances", "the limit fs.inotify.max_user_instances is reached (inotify)"),
        ("watches", "the limit fs.inotify.max_user_watches is reached"),
    ],
)
def test_where_inotify_is_used_up_it_looks_and_says_so(peer: Peer, logs: Logs, limit: str, told: str) -> None:
    # The limits of a user namespace of its own (user_namespaces(7), namespaces(7)).
    within = ("unshare", "--user", "--map-root-user", "sh", "-c")
    begin = f'echo 0 > /proc/sys/user/max_inotify_{limit} && exec "$@"'
    command = [*within, begin, "sh", *STACKCTL, "--socket", peer.endpoint, "logs", "db", "-f", "-n", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        assert process.stderr
        remark = process.stderr.readline()
        append(logs.db, "more\n")
        shown = lines(process, 1)
        process.terminate()

    assert told in remark
    assert remark.startswith("cannot be told of changes: ")
    assert shown == ["more\n"]
