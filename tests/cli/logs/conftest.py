"""A peer that plays a stack whose services have logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_stack.control.parts import Detail
from tests.cli.shop import Shop, service


def at(second: int, text: str) -> str:
    """A line of a log with its time."""
    return f"2026-11-26T12:00:{second:02}Z {text}\n"


class Logs:
    """The log files of a stack, which a test fills."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.db = folder / "db.log"
        self.web = folder / "web.log"
        self.access = folder / "web_access.log"
        web = Detail(log_to="file", log=str(self.web), logs=(str(self.access),))
        shop.services = {
            "db": service("db", detail=Detail(log_to="file", log=str(self.db))),
            "web": service("web", detail=web),
        }

    def fill(self) -> None:
        """Three lines in each, one after the other."""
        for number, path in enumerate((self.db, self.web, self.access)):
            path.write_text("".join(at(3 * line + number, path.stem) for line in range(3)))


@pytest.fixture
def logs(tmp_path: Path, shop: Shop) -> Logs:
    """The logs of a database and of a web server, which also has one of its own."""
    logs = Logs(tmp_path, shop)
    logs.fill()
    return logs
