"""Logs of services are read without trust in who owns the folder."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from supervisor_stack.daemon.capture import Reader, mark, written_since
from supervisor_stack.daemon.checks import Checks
from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.marks import Marks
from supervisor_stack.daemon.process import Processes
from supervisor_stack.spec import Check, CheckReport, ServiceSpec

NOBODY = 65534


def test_what_was_written_since_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    place = mark(str(log))
    with log.open("a") as file:
        file.write("new\n")

    assert written_since(place) == ["new"]


def test_a_fifo_in_the_place_of_a_log_does_not_hold_anybody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")

    assert written_since(mark(str(tmp_path / "log"))) == []


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (tmp_path / "log").symlink_to(secret)

    assert written_since(mark(str(tmp_path / "log"))._replace(offset=0)) == []


def test_the_folder_of_a_log_is_gone_through_as_the_user_of_the_service() -> None:
    # The folders of tests are closed to others.
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        top.chmod(0o755)
        secrets, kept = top / "secrets", top / "kept"
        for place, words, mode in ((secrets, "secret\n", 0o600), (kept, "mine\n", 0o644)):
            place.mkdir(0o755)
            (place / "log").write_text(words)
            (place / "log").chmod(mode)
        (top / "linked").symlink_to(kept)  # as an administrator does it: /var/log is elsewhere
        (top / "forged").symlink_to(secrets)
        own = mark(str(secrets / "log"))._replace(offset=0)
        reader = Reader(own.path, Identity(NOBODY, NOBODY, [NOBODY]))
        places = [mark(str(top / name / "log"))._replace(offset=0) for name in ("forged", "linked")]

        assert [reader.written_since(place) for place in places] == [[], ["mine"]]
        assert reader.last_words(places) == ("mine",)
        assert reader.written_since(own) == ["secret"]  # what is stackd's is read as ever
        assert reader._replace(who=None).last_words(places) == ()
        assert (secrets / "log").read_text() == "secret\n"  # and we are who we were


async def _told(check: Check) -> tuple[str, ...]:
    """Where last words are looked for, before and after a service has tested its configuration."""
    spec = ServiceSpec(
        name="web", argv=("web",), check=check, logs=("/own.log",), access_logs=("/visits.log",)
    )
    checks = Checks(Processes(asyncio.get_running_loop()), os.environ, "/log", Marks("/run/stackd"))
    before = checks.logs(spec)
    await checks.test(spec, 1, check)
    return (*before, *checks.logs(spec))


def test_last_words_are_never_those_of_visitors() -> None:
    report = CheckReport(logs=("/told.log",), access_logs=("/told-visits.log",))

    told = asyncio.run(_told(Check(argv=("true",), read=lambda *_: report)))

    assert told == ("/log/web.log", "/own.log", "/log/web.log", "/told.log")
