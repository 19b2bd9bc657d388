"""What MariaDB tells about itself, which has more to tell than its ready probe can ask."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from supervisor_stack.core.events import BecameReady, Event, StatusReceived
from supervisor_stack.daemon.notify import Notifications
from tests.daemon.conftest import nothing_kept
from tests.servers import free_port, install_mariadb, start_mariadb

DOWN = StatusReceived(service="mysqld", run=1, status="MariaDB server is down")


def test_mariadb_says_when_it_is_ready_and_asks_for_time_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datadir = install_mariadb(tmp_path / "installed")

    async def story() -> tuple[list[Event], list[Event]]:
        events: asyncio.Queue[Event] = asyncio.Queue()
        notifications = Notifications(
            tmp_path / "notify", events.put_nowait, lambda _service, _pid: False, nothing_kept()
        )
        monkeypatch.setenv("NOTIFY_SOCKET", notifications.open("mysqld"))
        with start_mariadb(tmp_path / "run", datadir, free_port(), wait=False) as mariadb:
            notifications.bind_run("mysqld", 1, mariadb.process.pid)
            start = [await asyncio.wait_for(events.get(), 20)]
            while not isinstance(start[-1], BecameReady):
                start.append(await asyncio.wait_for(events.get(), 20))
            mariadb.process.terminate()
            stop = [await asyncio.wait_for(events.get(), 20)]
            while stop[-1] != DOWN:
                stop.append(await asyncio.wait_for(events.get(), 20))
        notifications.close("mysqld")
        return start, stop

    start, stop = asyncio.run(story())
    assert start[-2:] == [
        StatusReceived(service="mysqld", run=1, status="Taking your SQL requests now..."),
        BecameReady(service="mysqld", run=1),
    ]
    assert any(isinstance(event, StatusReceived) and event.extend == 30 for event in stop)
