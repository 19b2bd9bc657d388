"""stackctl logs and events, once and with -f."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor_stack.control.messages import Detail
from tests.cli.shop import DEADLINE, STACKCTL, Shop, environment, notice, service, stackctl
from tests.peer import Peer, Vanish


@pytest.fixture
def logs(tmp_path: Path, shop: Shop) -> dict[str, Path]:
    """Log files of both services; the web server also has one of its own."""
    paths = {name: tmp_path / f"{name}.log" for name in ("db", "web", "access")}
    for name, path in paths.items():
        path.write_text(f"{name} 1\n{name} 2\n{name} 3\n")
    shop.services = {
        "db": service("db", detail=Detail(log=str(paths["db"]))),
        "web": service("web", detail=Detail(log=str(paths["web"]), logs=(str(paths["access"]),))),
    }
    return paths


@contextmanager
def following(*words: str) -> Iterator[subprocess.Popen[str]]:
    """stackctl, going on until Ctrl-C."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*STACKCTL, *words], stdout=pipe, stderr=pipe, text=True, bufsize=1, env=environment()
    ) as process:
        yield process
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, out, err) == (130, "", "")


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline() for _ in range(count)]


def test_the_logs_of_one_service_are_as_it_wrote_them(peer: Peer, logs: dict[str, Path]) -> None:
    logs["db"].write_bytes("grün\n".encode("latin-1"))
    command = [*STACKCTL, "--socket", peer.endpoint, "logs", "db"]

    ran = subprocess.run(command, capture_output=True, env=environment(), check=True)

    assert ran.stdout == "grün\n".encode("latin-1")


@pytest.mark.usefixtures("logs")
def test_the_logs_of_several_services_say_whose_they_are(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "logs", "-n", "2")

    assert ran == (
        0,
        "db   | db 2\ndb   | db 3\nweb  | web 2\nweb  | web 3\nweb  | access 2\nweb  | access 3\n",
        "",
    )


def test_logs_in_json_are_lines_with_service_and_file(peer: Peer, logs: dict[str, Path]) -> None:
    ran = stackctl("--socket", peer.endpoint, "logs", "web", "-n", "1", "--json")

    assert list(map(json.loads, ran.out.splitlines())) == [
        {"service": "web", "file": str(logs["web"]), "line": "web 3"},
        {"service": "web", "file": str(logs["access"]), "line": "access 3"},
    ]


def test_a_log_that_does_not_exist_yet_is_no_failure(peer: Peer, logs: dict[str, Path]) -> None:
    logs["db"].unlink()

    ran = stackctl("--socket", peer.endpoint, "logs", "db")

    assert ran == (0, "", f"db has not written {logs['db']} yet\n")


def test_a_log_that_cannot_be_read_does_not_hide_the_others(peer: Peer, logs: dict[str, Path]) -> None:
    logs["web"].unlink()
    logs["web"].mkdir()

    ran = stackctl("--socket", peer.endpoint, "logs", "web", "-n", "1")

    assert ran == (1, "access 3\n", f"stackctl: cannot read {logs['web']} of web: Is a directory\n")


def test_logs_are_followed_across_a_rotation(peer: Peer, logs: dict[str, Path]) -> None:
    with following("--socket", peer.endpoint, "logs", "db", "-f", "-n", "1") as process:
        assert lines(process, 1) == ["db 3\n"]

        logs["db"].rename(logs["db"].with_suffix(".1"))
        logs["db"].write_text("db 4\n")
        assert lines(process, 1) == ["db 4\n"]

        logs["db"].write_text("")
        with logs["db"].open("a") as log:
            log.write("5\n")
        assert lines(process, 1) == ["5\n"]


def configured(folder: Path) -> Path:
    """A configuration whose stackd is down."""
    (folder / "sleep.log").write_text("good night\n")
    file = folder / "stackd.toml"
    file.write_text(
        f"[stack]\nname = 'shop'\nruntime_dir = '{folder}'\nlog_dir = '{folder}'\n"
        "[services.sleep]\ncommand = ['sleep', '1']\n"
        "[services.quiet]\ncommand = ['sleep', '1']\nlog = {to = 'null'}\n"
    )
    return file


def test_without_stackd_the_configuration_tells_where_logs_are(tmp_path: Path) -> None:
    file = configured(tmp_path)

    ran = stackctl("-c", file, "logs")

    assert ran == (0, "good night\n", f"stackd is not running; these are the log files by {file}\n")


def test_without_stackd_an_unknown_service_is_4_all_the_same(tmp_path: Path) -> None:
    ran = stackctl("-c", configured(tmp_path), "logs", "slep")

    assert ran == (4, "", "stackctl: no service `slep`; did you mean sleep?\n")


def test_without_stackd_and_configuration_there_are_no_logs(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/control.sock"

    ran = stackctl("--socket", endpoint, "-c", tmp_path / "none.toml", "logs")

    assert ran == (4, "", f"stackctl: cannot reach stackd at {endpoint}: it is not running\n")


def test_events_are_told_with_reason_and_evidence(peer: Peer, shop: Shop) -> None:
    shop.notices = (
        notice(1, "web", "waiting", "starting"),
        notice(2, "web", "running", "backoff", event="ProcessExited", reason="exit status 1", detail=("oh",)),
        notice(3, "web", "running", "running", event="StopRequested"),
    )

    ran = stackctl("--socket", peer.endpoint, "events")

    assert ran == (
        0,
        (
            "2026-11-22T05:45:36.123Z  web  waiting -> starting  Spawned\n"
            "2026-11-22T05:45:36.123Z  web  running -> backoff  ProcessExited  exit status 1\n"
            "  oh\n"
            "2026-11-22T05:45:36.123Z  web  running  StopRequested\n"
        ),
        "",
    )


def test_the_last_events_in_json_are_the_notices(peer: Peer, shop: Shop) -> None:
    shop.notices = tuple(notice(seq, "web", "waiting", "starting") for seq in range(1, 6))

    ran = stackctl("--socket", peer.endpoint, "events", "--json", "-n", "2")

    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [each["seq"] for each in told] == [4, 5]
    assert told[0]["service"] == "web"


def test_events_are_followed(peer: Peer, shop: Shop) -> None:
    shop.notices = (notice(1, "web", "waiting", "starting"),)
    with following("--socket", peer.endpoint, "events", "-f") as process:
        assert lines(process, 1)[0].endswith("waiting -> starting  Spawned\n")

        shop.notices = (*shop.notices, notice(2, "web", "starting", "running"))
        peer.do(shop.notices[-1])

        assert lines(process, 1)[0].endswith("starting -> running  Spawned\n")


def test_events_that_stackd_has_forgotten_are_counted(peer: Peer, shop: Shop) -> None:
    shop.notices = (notice(1, "web", "waiting", "starting"),)
    command = [*STACKCTL, "--socket", peer.endpoint, "events", "-f"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        lines(process, 1)

        shop.notices = (notice(9, "web", "starting", "running"),)
        peer.do(shop.notices[-1])
        lines(process, 1)
        peer.do(Vanish())
        _, err = process.communicate(timeout=DEADLINE)

    assert err.splitlines() == [
        "stackd no longer knows the 7 events before the next one",
        f"stackctl: cannot get an answer from {peer.endpoint}: stackd went away",
        "  what was asked for may have been done, or begun.",
    ]
    assert process.returncode == 4


def test_a_reader_that_leaves_ends_it_quietly(peer: Peer, shop: Shop) -> None:
    shop.notices = tuple(notice(seq, "web", "waiting", "starting") for seq in range(1, 2000))
    command = [*STACKCTL, "--socket", peer.endpoint, "events", "-n", "2000"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()

        assert process.stderr.read() == ""
    assert process.returncode == 141
