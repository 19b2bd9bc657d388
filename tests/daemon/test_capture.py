"""Logs of services are read without trust in who owns the folder."""

from __future__ import annotations

import os
from pathlib import Path

from supervisor_stack.daemon.capture import mark, written_since


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
