"""What stands on the screen can be copied: by a key, and with the mouse."""

from __future__ import annotations

from pathlib import Path

from supervisor_stack.cli.table import GAP
from supervisor_stack.control.parts import Detail
from tests.cli.shop import Shop, service
from tests.cli.top.bench import Desk, at_desk
from tests.peer import Peer


def test_the_selected_row(peer: Peer) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.press("down", "y")
        await desk.until_shown("copied 1 line")
        assert desk.app.clipboard == desk.row("web")

    at_desk(peer.endpoint, scenario)


def test_all_of_a_pane_that_has_the_focus(peer: Peer, shop: Shop) -> None:
    shop.services["db"] = service("db", detail=Detail(command=("db", "--now")))

    async def scenario(desk: Desk) -> None:
        await desk.press("d")
        await desk.until_shown("Command: db --now")
        await desk.press("tab", "y")
        await desk.until_shown("copied 5 lines")
        assert desk.app.clipboard.splitlines()[-1] == "   Command: db --now"

    at_desk(peer.endpoint, scenario)


def test_what_the_mouse_selects_in_a_log(peer: Peer, shop: Shop, tmp_path: Path) -> None:
    log = tmp_path / "db.log"
    log.write_text("first line\nsecond line\nthird line\n")
    shop.services["db"] = service("db", detail=Detail(log_to="file", log=str(log)))

    async def scenario(desk: Desk) -> None:
        await desk.press("l")
        await desk.until_shown("third line")
        await desk.pilot.mouse_down("#log", offset=(6, 0))
        await desk.pilot.hover("#log", offset=(3, 1))
        await desk.pilot.hover("#log", offset=(5, 1))
        await desk.pilot.mouse_up("#log", offset=(5, 1))
        await desk.press("ctrl+c")
        await desk.until_shown("copied 2 lines")
        assert desk.app.clipboard == "line\nsecond"

        await desk.press("escape")
        assert desk.app.screen.get_selected_text() is None
        assert "-- logs of db --" in desk.text()

    at_desk(peer.endpoint, scenario)


def test_what_the_mouse_selects_in_the_table(peer: Peer) -> None:
    async def scenario(desk: Desk) -> None:
        begin = desk.row("web").index("web")
        await desk.pilot.mouse_down("#services", offset=(begin, 1))
        await desk.pilot.hover("#services", offset=(begin + 1, 1))
        await desk.pilot.hover("#services", offset=(begin + 2, 1))
        await desk.pilot.mouse_up("#services", offset=(begin + 2, 1))
        await desk.press("y")
        assert desk.app.clipboard == "web"

    at_desk(peer.endpoint, scenario)


def test_a_click_selects_a_service(peer: Peer) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.pilot.click("#services", offset=(5, 1))
        await desk.press("y")
        await desk.until_shown("copied 1 line")
        assert desk.app.clipboard.split(GAP)[1] == "web"

    at_desk(peer.endpoint, scenario)
