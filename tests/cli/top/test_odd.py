"""What is rare or unkind: hostile text, narrow terminals, operations that do not end."""

from __future__ import annotations

import pytest

from supervisor_stack.control.messages import Accepted, Progress
from supervisor_stack.control.parts import Detail
from tests.cli.shop import Shop, notice, service
from tests.cli.top.bench import Desk, at_desk
from tests.peer import Peer

HOSTILE = "\x1b]0;title\x07 [red]not a style[/red]\ttab"
SHOWN = r"\x1b]0;title\x07 [red]not a style[/red]"


def test_hostile_text_is_only_shown(peer: Peer, shop: Shop) -> None:
    shop.services["db"] = service("db", "failed", reason=HOSTILE, detail=Detail(evidence=(HOSTILE,)))

    async def scenario(desk: Desk) -> None:
        await desk.press("d")
        peer.do(notice(1, "web", "running", "running", reason=HOSTILE))
        await desk.until(lambda: desk.text().count(SHOWN) == 4, "a note, a reason, evidence, an event")
        await desk.press("y")
        assert "\x1b" not in desk.app.clipboard

    at_desk(peer.endpoint, scenario, size=(160, 30))


def test_the_screen_goes_on_while_an_operation_does_not_end(peer: Peer, shop: Shop) -> None:
    shop.operation = (
        Accepted(op=1, services=("db",)),
        Progress(op=1, service="db", state="stopping", reason="saving"),
    )

    async def scenario(desk: Desk) -> None:
        await desk.press("r")
        await desk.until_shown("restart db: db is stopping: saving")
        await desk.press("down", "d")
        await desk.until_shown("details of web", "web (web)")
        await desk.press("escape")  # closes the pane; what goes on stays in sight
        await desk.until_gone("details of web")
        assert "restart db: db is stopping" in desk.text()

    at_desk(peer.endpoint, scenario)  # and it can be left


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_narrow_terminal_shows_less_and_wraps_nothing(peer: Peer, columns: int) -> None:
    async def scenario(desk: Desk) -> None:
        wide = desk.lines()
        await desk.pilot.resize_terminal(columns, 24)
        await desk.until(lambda: len(desk.lines()) == 24, "it is narrow")
        await desk.until(lambda: len(desk.lines()[1]) <= columns, "the titles are of fewer columns")
        assert set(desk.lines()[1].split()) <= set(wide[1].split())
        assert desk.row("db")
        assert desk.row("web")
        assert max(map(len, desk.lines())) <= columns
        assert desk.lines()[-1].endswith("q quit")

        await desk.press("question_mark")
        await desk.until_shown("start the")
        await desk.press("escape")
        await desk.until_gone("start the")

    at_desk(peer.endpoint, scenario)


def test_a_dialog_has_the_keys_for_itself(peer: Peer) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("x")
        await desk.until_shown("Stop db?")
        await desk.press("r", "l", "slash", "escape")
        await desk.until_gone("Stop db?")
        await desk.pilot.pause()
        assert "restart" not in desk.text().replace("r restart", "")
        assert "logs of" not in desk.text()

    at_desk(peer.endpoint, scenario)


def test_a_log_that_is_poured_out_is_not_kept_whole(peer: Peer, shop: Shop, tmp_path: object) -> None:
    log = f"{tmp_path}/db.log"
    shop.services["db"] = service("db", detail=Detail(log_to="file", log=log))

    async def scenario(desk: Desk) -> None:
        with open(log, "w") as file:  # noqa: ASYNC230, PTH123
            await desk.press("l")
            await desk.until(lambda: "-- logs of db --" in desk.text(), "the pane is open")
            file.writelines(f"line {number}\n" for number in range(100_000))
        await desk.until_shown("line 99999")
        assert len(desk.app.query_one("#log").lines) <= 2000  # type: ignore[attr-defined]

    at_desk(peer.endpoint, scenario)
