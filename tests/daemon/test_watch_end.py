"""The end of watching files, whatever is under way."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor_stack.core.events import Event
from supervisor_stack.daemon import watch
from supervisor_stack.daemon.watch import FileWatcher

PAUSE = 0.05


def story(file: Path, before_close: Callable[[FileWatcher], None], delay: float) -> list[Event]:
    """What is posted, and what the loop complains of, when a watcher is closed after `delay` seconds."""
    posted: list[Event] = []
    complaints: list[dict[str, object]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        watcher = FileWatcher(posted.append, loop)
        watcher.watch("web", (str(file),), (), PAUSE)
        await asyncio.sleep(delay)
        before_close(watcher)
        watcher.close()
        watcher.forget("web")
        await asyncio.sleep(4 * PAUSE)  # in which all that is not cancelled comes

    asyncio.run(run())
    assert complaints == []
    return posted


def test_what_is_about_to_be_watched_is_not_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ARM_DELAY", PAUSE)

    assert story(tmp_path / "file", lambda _: None, 0) == []


def test_a_change_that_has_not_come_to_rest_is_not_told_after_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ARM_DELAY", 0)
    file = tmp_path / "file"

    def change(watcher: FileWatcher) -> None:
        file.write_text("new")
        watcher._catch_up()

    assert story(file, change, PAUSE) == []


def test_a_file_server_that_does_not_answer_keeps_nobody_from_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(watch, "ARM_DELAY", 0)
    monkeypatch.setattr(watch, "CLOSE_TIMEOUT", PAUSE)
    answer = threading.Event()
    monkeypatch.setattr(watch.Folders, "watch_only", lambda *_: answer.wait(30))

    assert story(tmp_path / "file", lambda _: None, PAUSE) == []

    assert "does not answer: leaving all the same" in caplog.text
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "watch"] == [True]
    answer.set()
