"""A thousand services: what is done for a change does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from supervisor_stack.cli.render import status_table
from supervisor_stack.cli.table import Table
from supervisor_stack.cli.top import table
from supervisor_stack.cli.top.table import ServiceTable
from supervisor_stack.control.messages import Accepted, Finished, Status
from supervisor_stack.control.parts import Outcome, ServiceStatus
from tests.cli.shop import Shop, notice, service
from tests.cli.top.bench import Desk, at_desk
from tests.peer import Peer

COUNT = 1000
SIZE = (110, 30)


@pytest.fixture
def shop() -> Shop:
    return Shop(*(service(f"s{number:03}", memory_bytes=number << 20) for number in range(COUNT)))


class Work:
    """Counts the lines of the table that are drawn, and the rows that are made of services."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.drawn: list[int] = []
        self.made = 0
        render_line = ServiceTable.render_line

        def drawing(widget: ServiceTable, y: int) -> object:
            self.drawn.append(y)
            return render_line(widget, y)

        def making(services: Sequence[ServiceStatus], now: datetime) -> Table:
            self.made += len(services)
            return status_table(services, now)

        patch.setattr(ServiceTable, "render_line", drawing)
        patch.setattr(table, "status_table", making)

    def forget(self) -> None:
        """Count from here on."""
        self.drawn.clear()
        self.made = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


async def settled(desk: Desk, peer: Peer, shop: Shop) -> None:
    """Let the screen be as it is after a first notice, which brings the line of the last event."""
    shop.services["s000"] = service("s000", restarts=1)
    peer.do(notice(1, "s000", "running", "running"))
    await desk.until(lambda: desk.row("s000").endswith("1"), "a first change is seen")
    await desk.pilot.pause()


def test_one_change_draws_one_line(peer: Peer, shop: Shop, work: Work) -> None:
    async def scenario(desk: Desk) -> None:
        height = desk.app.query_one(ServiceTable).size.height
        await settled(desk, peer, shop)
        peer.requests.clear()
        work.forget()

        shop.services["s003"] = service("s003", restarts=7)
        peer.do(notice(2, "s003", "running", "running"))
        await desk.until(lambda: desk.row("s003").endswith("7"), "the change is seen")

        assert work.drawn == [3]
        assert work.made <= 2 * height
        asked = [request for request in peer.requests if isinstance(request, Status)]
        assert [request.services for request in asked] == [("s003",)]

    at_desk(peer.endpoint, scenario, size=SIZE)


def test_a_change_out_of_sight_draws_nothing(peer: Peer, shop: Shop, work: Work) -> None:
    async def scenario(desk: Desk) -> None:
        await settled(desk, peer, shop)
        work.forget()
        shop.services["s900"] = service("s900", "failed", reason="out of sight")
        peer.do(notice(2, "s900", "running", "failed"))
        await desk.until(lambda: any(s.state == "failed" for s in desk.app.board.shown), "it is known")
        await desk.pilot.pause()

        assert work.drawn == []

    at_desk(peer.endpoint, scenario, size=SIZE)


def test_a_look_at_all_that_finds_nothing_new_draws_nothing(peer: Peer, shop: Shop, work: Work) -> None:
    async def scenario(desk: Desk) -> None:
        def looks() -> int:
            return sum(isinstance(request, Status) for request in peer.requests)

        await settled(desk, peer, shop)
        work.forget()
        seen = looks()
        await desk.until(lambda: looks() >= seen + 3, "it has looked again")

        assert work.drawn == []
        assert work.made <= (looks() - seen + 1) * SIZE[1]

    at_desk(peer.endpoint, scenario, size=SIZE, interval=0.1)


def test_a_storm_of_notices_is_few_questions(peer: Peer, shop: Shop) -> None:
    async def scenario(desk: Desk) -> None:
        peer.requests.clear()
        for number, name in enumerate(shop.services, 1):
            shop.services[name] = service(name, restarts=1)
            peer.do(notice(number, name, "running", "running"))
        await desk.until(
            lambda: all(each.restarts == 1 for each in desk.app.board.shown), "all have been seen"
        )

        # As many as there are pauses in the time that it took, not as there are notices.
        assert sum(isinstance(request, Status) for request in peer.requests) < COUNT / 10

    at_desk(peer.endpoint, scenario, size=SIZE)


def test_the_selection_stays_while_rows_move(peer: Peer, shop: Shop) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("m")  # the one with the most memory first
        await desk.until(lambda: desk.lines()[2].split()[1] == "s999", "sorted")
        assert "by memory" in desk.lines()[0]
        assert desk.app.board.selected == "s999"

        await desk.press("down")
        assert desk.app.board.selected == "s998"
        shop.services["s998"] = service("s998", memory_bytes=2000 << 20)
        peer.do(notice(1, "s998", "running", "running"))
        await desk.until(lambda: desk.lines()[2].split()[1] == "s998", "it is the first one now")
        assert desk.app.board.selected == "s998"
        assert desk.app.board.index == 0

        await desk.press("m")
        await desk.until(lambda: desk.app.board.index == 998, "in the order of the configuration")
        await desk.until_shown("s998")

    at_desk(peer.endpoint, scenario, size=SIZE)


def test_a_filter_shows_what_contains_it(peer: Peer, shop: Shop) -> None:
    shop.services["s700"] = service("s700", "failed")
    outcome = Outcome(service="s700", state="running")
    shop.operation = (Accepted(op=1, services=("s700",)), Finished(op=1, ok=True, outcomes=(outcome,)))

    async def scenario(desk: Desk) -> None:
        await desk.press("slash", *"fail")
        await desk.until_shown("/fail: 1 of 1000")
        assert desk.row("s700")
        assert not desk.row("s000")
        await desk.press("enter", "s")  # a key again, and no letter of the filter
        await desk.until_shown("start s700: done")

        await desk.press("slash", "x")
        await desk.until_shown("/x: 0 of 1000")
        await desk.press("escape")
        await desk.until_gone("of 1000")
        assert desk.app.board.selected == "s700"

    at_desk(peer.endpoint, scenario, size=SIZE)


def test_the_last_row_is_reached_by_one_key(peer: Peer) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("end")
        await desk.until(lambda: desk.row("s999"), "the last one is in sight")
        await desk.press("pageup")
        await desk.until(lambda: desk.app.board.index < 990, "a page up")
        await desk.press("home")
        await desk.until(lambda: desk.row("s000"), "the first one is in sight")

    at_desk(peer.endpoint, scenario, size=SIZE)
