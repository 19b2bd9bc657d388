"""Services whose output is in the journal: a journald of its own, in mount namespaces of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.control.parts import Detail
from tests.cli.logs.conftest import Logs, at
from tests.cli.shop import DEADLINE, STACKCTL, Ran, Shop, environment, lines, service, stackctl
from tests.peer import Peer

JOURNALD = "/lib/systemd/systemd-journald"

# A whole machine's worth of /run, where journald and its clients meet. Says so when it is up.
SCRIPT = f"""
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal || exit 1
{JOURNALD} & trap 'kill $!' TERM
until [ -S /run/systemd/journal/stdout ]; do sleep 0.01; done
echo up
wait
wait
"""


class Machine:
    """Where a journald runs."""

    def __init__(self, pid: int) -> None:
        self._enter = ("nsenter", f"--target={pid}", "--mount", "--")

    def say(self, identifier: str, text: str) -> None:
        """Print lines as a service of that name; returns when they can be read."""
        command = (*self._enter, "systemd-cat", f"--identifier={identifier}", "cat")
        subprocess.run(command, input=text, text=True, check=True, timeout=DEADLINE)
        subprocess.run(
            (*self._enter, "journalctl", "--sync"), check=True, timeout=DEADLINE, capture_output=True
        )

    def tell(self, fields: str) -> None:
        """An entry of these fields; returns when it can be read."""
        subprocess.run((*self._enter, "logger", "--journald"), input=fields, text=True, check=True)
        subprocess.run((*self._enter, "journalctl", "--sync"), check=True, capture_output=True)

    def stackctl(self, *words: str) -> subprocess.Popen[str]:
        """stackctl on that machine."""
        pipe = subprocess.PIPE
        command = [*self._enter, *STACKCTL, *words]
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())

    def ran(self, *words: str) -> Ran:
        """stackctl to its end."""
        with self.stackctl(*words) as process:
            out, err = process.communicate(timeout=DEADLINE)
        return Ran(process.returncode, out, err)


@pytest.fixture
def machine() -> Iterator[Machine]:
    command = ("unshare", "--mount", "--propagation=private", "sh", "-c", SCRIPT)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        yield Machine(process.pid)
        process.terminate()
        process.wait(DEADLINE)


@pytest.fixture(autouse=True)
def web_in_journal(logs: Logs, shop: Shop) -> None:
    """What the web server prints goes there."""
    shop.services["web"] = service("web", detail=Detail(log_to="journal", logs=(str(logs.access),)))


def test_the_journal_is_merged_with_the_files(peer: Peer, machine: Machine, logs: Logs) -> None:
    machine.say("other", "of somebody else\n")
    machine.say("web", "hello\nworld\n")
    logs.access.write_text(at(0, "access") + "2096-11-26T12:00:00Z later\n")

    ran = machine.ran("--socket", peer.endpoint, "logs", "web")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"web access  | {at(0, 'access')}"
        "web         | hello\n"
        "web         | world\n"
        "web access  | 2096-11-26T12:00:00Z later\n"
    )


def test_an_entry_with_two_of_everything_is_shown_once(peer: Peer, machine: Machine) -> None:
    machine.tell("SYSLOG_IDENTIFIER=other\nSYSLOG_IDENTIFIER=web\nMESSAGE=one\nMESSAGE=two\n")

    ran = machine.ran("--socket", peer.endpoint, "logs", "web", "-n", "1")

    assert ran.code == 0
    assert ran.out in ("web         | one\n", "web         | two\n")


def test_json_of_the_journal_has_its_times_and_no_file(peer: Peer, machine: Machine) -> None:
    machine.say("web", "x" * 5000 + "\n")

    ran = machine.ran("--socket", peer.endpoint, "logs", "web", "-n", "1", "--json")

    line = json.loads(ran.out)
    assert line.pop("time").startswith("20")
    assert line == {"service": "web", "file": None, "line": "x" * 5000}


@pytest.mark.parametrize("before", ["", "before\n"], ids=["an empty journal", "a journal"])
def test_the_journal_is_followed(peer: Peer, machine: Machine, logs: Logs, before: str) -> None:
    if before:
        machine.say("web", before)
    with machine.stackctl("--socket", peer.endpoint, "logs", "-f", "-n", "1") as process:
        (first,) = lines(process, 1)
        assert first.endswith(before or at(8, "web_access"))

        machine.say("web", "one\n")
        assert lines(process, 1) == ["web         | one\n"]
        with logs.db.open("a") as file:
            file.write("two\n")
        assert lines(process, 1) == ["db          | two\n"]
        machine.say("web", "three\n")
        assert lines(process, 1) == ["web         | three\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, out, err) == (130, "", "")


def test_without_journalctl_the_files_are_shown(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()

    ran = stackctl("--socket", peer.endpoint, "logs", "-n", "1", PATH=str(tmp_path / "bin"))

    assert shutil.which("journalctl")
    assert ran == (
        1,
        f"web access  | {at(8, 'web_access')}",
        "stackctl: cannot read the journal: cannot execute journalctl: No such file or directory\n",
    )
