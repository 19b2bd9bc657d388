"""stackctl logs without -f."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from supervisor_stack.control.parts import Detail
from tests.cli.logs.conftest import Logs, at
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, service, stackctl
from tests.cli.terminal import stackctl_on_terminal
from tests.peer import Peer


def test_the_only_log_of_a_service_is_shown_as_it_was_written(peer: Peer, logs: Logs) -> None:
    logs.db.write_bytes(b"gr\xfcn\n\x1b[31mred\x00\n")
    command = [*STACKCTL, "--socket", peer.endpoint, "logs", "db"]

    ran = subprocess.run(command, capture_output=True, env=environment(), check=True)

    assert ran.stdout == b"gr\xfcn\n\x1b[31mred\x00\n"


@pytest.mark.usefixtures("logs")
def test_several_logs_come_in_order_and_each_line_says_whose_it_is(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "logs")

    labels = ("db        ", "web       ", "web access")
    stems = ("db", "web", "web_access")
    wanted = [f"{labels[line % 3]}  | {at(line, stems[line % 3])}" for line in range(9)]
    assert ran == (0, "".join(wanted), "")


@pytest.mark.usefixtures("logs")
def test_n_counts_the_lines_of_all_logs_together(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "logs", "-n", "2")

    assert ran.out == f"web         | {at(7, 'web')}web access  | {at(8, 'web_access')}"
    assert stackctl("--socket", peer.endpoint, "logs", "-n", "0") == (0, "", "")


def test_twenty_lines_are_shown_unless_somebody_wants_others(peer: Peer, logs: Logs) -> None:
    logs.db.write_text("".join(f"{number}\n" for number in range(100)))

    ran = stackctl("--socket", peer.endpoint, "logs", "db")

    assert ran.out == "".join(f"{number}\n" for number in range(80, 100))


def test_json_has_the_time_of_each_line_and_the_file_that_it_is_from(peer: Peer, logs: Logs) -> None:
    logs.access.write_bytes(b"who knows when\n2026-11-26T13:00:09.5+01:00 gr\xfcn\n  and more\n")

    ran = stackctl("--socket", peer.endpoint, "logs", "web", "-n", "4", "--json")

    told = list(map(json.loads, ran.out.splitlines()))
    line = at(7, "web").rstrip()
    assert told[0] == {
        "service": "web", "file": str(logs.web), "time": "2026-11-26T12:00:07.000Z", "line": line,
    }  # fmt: skip
    assert {(each["service"], each["file"]) for each in told[1:]} == {("web", str(logs.access))}
    assert [(each["time"], each["line"]) for each in told[1:]] == [
        (None, "who knows when"),
        ("2026-11-26T12:00:09.500Z", "2026-11-26T13:00:09.5+01:00 gr�n"),
        ("2026-11-26T12:00:09.500Z", "  and more"),
    ]


def test_older_files_are_gone_back_to_as_far_as_needed(peer: Peer, logs: Logs) -> None:
    Path(f"{logs.db}.1").write_text("b\nc\n")
    Path(f"{logs.db}.2").write_text("a\n")
    logs.db.write_text("d\n")

    assert stackctl("--socket", peer.endpoint, "logs", "db", "-n", "2").out == "c\nd\n"
    assert stackctl("--socket", peer.endpoint, "logs", "db", "-n", "1000").out == "a\nb\nc\nd\n"


def test_an_older_file_that_cannot_be_read_is_named(peer: Peer, logs: Logs) -> None:
    older = Path(f"{logs.db}.1")
    older.mkdir()
    logs.db.write_text("d\n")

    ran = stackctl("--socket", peer.endpoint, "logs", "db")

    assert ran == (1, "d\n", f"stackctl: cannot read {older} of db: Is a directory\n")


def test_a_log_that_does_not_exist_yet_is_no_failure(peer: Peer, logs: Logs) -> None:
    logs.db.unlink()

    ran = stackctl("--socket", peer.endpoint, "logs", "db")

    assert ran == (0, "", f"db has not written {logs.db} yet\n")


def test_a_log_that_cannot_be_read_does_not_hide_the_others(peer: Peer, logs: Logs) -> None:
    logs.web.unlink()
    logs.web.mkdir()

    ran = stackctl("--socket", peer.endpoint, "logs", "web", "-n", "1")

    assert ran == (
        1,
        f"web access  | {at(8, 'web_access')}",
        f"stackctl: cannot read {logs.web} of web: Is a directory\n",
    )


def test_a_fifo_in_place_of_a_log_is_left_alone(peer: Peer, logs: Logs) -> None:
    logs.access.unlink()
    os.mkfifo(logs.access)

    ran = stackctl("--socket", peer.endpoint, "logs", "web", "-n", "1")

    told = f"web writes to {logs.access}, which is no file that keeps it\n"
    assert ran == (0, f"web         | {at(7, 'web')}", told)


def test_a_link_to_stdout_is_not_read_as_our_own(peer: Peer, logs: Logs, tmp_path: Path) -> None:
    """As in the official image of nginx; with stdout in a file it would never end."""
    logs.access.unlink()
    logs.access.symlink_to("/dev/stdout")
    shown = tmp_path / "shown"
    command = [*STACKCTL, "--socket", peer.endpoint, "logs", "web", "-n", "1"]

    with shown.open("w") as out:
        subprocess.run(command, stdout=out, env=environment(), check=True, timeout=DEADLINE)

    assert shown.read_text() == f"web         | {at(7, 'web')}"


def test_files_of_the_same_name_have_their_folders_with_them(peer: Peer, shop: Shop, tmp_path: Path) -> None:
    paths = [tmp_path / site / "access.log" for site in ("blog", "shop")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        path.write_text(at(number, "a"))
    shop.services = {"nginx": service("nginx", detail=Detail(logs=tuple(map(str, paths))))}

    ran = stackctl("--socket", peer.endpoint, "logs")

    assert ran.out == f"nginx blog/access  | {at(0, 'a')}nginx shop/access  | {at(1, 'a')}"


@pytest.mark.usefixtures("logs")
def test_on_a_terminal_each_service_has_a_colour(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "logs", "-n", "3")

    assert ran.out == (
        f"\x1b[36mdb          | \x1b[0m{at(6, 'db')}"
        f"\x1b[33mweb         | \x1b[0m{at(7, 'web')}"
        f"\x1b[33mweb access  | \x1b[0m{at(8, 'web_access')}"
    )


@pytest.mark.parametrize(
    ("words", "changes"),
    [(("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})],
    ids=["--no-color", "NO_COLOR", "TERM=dumb"],
)
@pytest.mark.usefixtures("logs")
def test_colours_can_be_refused(peer: Peer, words: tuple[str, ...], changes: dict[str, str]) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "logs", *words, changes=changes)

    assert ran.out == stackctl("--socket", peer.endpoint, "logs").out


def test_what_would_move_the_cursor_of_a_terminal_is_shown_instead(peer: Peer, logs: Logs) -> None:
    logs.db.write_bytes(b"\x1b[2J\x07a\tb\r\xc2\x9b0m\xff\n")

    ran = stackctl_on_terminal("--socket", peer.endpoint, "logs", "db")

    assert ran.out == "\\x1b[2J\\x07a\tb\\x0d\\x9b0m�\n"


def test_a_reader_that_leaves_ends_it_quietly(peer: Peer, logs: Logs) -> None:
    logs.db.write_text("a line of many\n" * 100_000)
    command = [*STACKCTL, "--socket", peer.endpoint, "logs", "-n", "100000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == ""
    assert process.returncode == 141


def configured(folder: Path, services: str = "") -> Path:
    """A configuration whose stackd is down."""
    (folder / "sleep.log").write_text("good night\n")
    file = folder / "stackd.toml"
    file.write_text(
        f"[stack]\nname = 'shop'\nruntime_dir = '{folder}'\nlog_dir = '{folder}'\n"
        "[services.sleep]\ncommand = ['sleep', '1']\n"
        f"[services.quiet]\ncommand = ['sleep', '1']\nlog = {{to = 'null'}}\n{services}"
    )
    return file


def test_without_stackd_the_configuration_tells_where_logs_are(tmp_path: Path) -> None:
    file = configured(tmp_path)

    ran = stackctl("-c", file, "logs")

    assert ran == (0, "good night\n", f"stackd is not running; these are the log files by {file}\n")


def test_a_service_without_a_log_is_named(tmp_path: Path) -> None:
    ran = stackctl("-c", configured(tmp_path), "logs", "quiet", "sleep")

    assert (ran.code, ran.out) == (0, "good night\n")
    remark = "quiet has no log that could be shown; its output goes where its `log` says"
    assert ran.err.splitlines()[1:] == [remark]


def test_without_stackd_the_files_of_nginx_tell_where_its_logs_are(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"events {{}} error_log {tmp_path}/error.log; http {{ include sites/*; }}")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "shop").write_text(f"server {{ listen 81; access_log {tmp_path}/shop.log; }}")
    (tmp_path / "error.log").write_text("2026/11/26 12:00:00 [error] oh\n")
    (tmp_path / "shop.log").write_text('::1 - - [26/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200 0\n')
    file = configured(tmp_path, f"[services.nginx]\nkind = 'nginx'\nconfig = '{conf}'\n")

    ran = stackctl("-c", file, "logs", "nginx", TZ="UTC")

    assert ran.out == (
        "nginx error  | 2026/11/26 12:00:00 [error] oh\n"
        'nginx shop   | ::1 - - [26/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200 0\n'
    )
    assert "nginx has not written" in ran.err


def test_without_stackd_an_unknown_service_is_4_all_the_same(tmp_path: Path) -> None:
    ran = stackctl("-c", configured(tmp_path), "logs", "slep")

    assert ran == (4, "", "stackctl: no service `slep`; did you mean sleep?\n")


def test_without_stackd_and_configuration_there_are_no_logs(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/control.sock"

    ran = stackctl("--socket", endpoint, "-c", tmp_path / "none.toml", "logs")

    assert ran == (4, "", f"stackctl: cannot reach stackd at {endpoint}: it is not running\n")
