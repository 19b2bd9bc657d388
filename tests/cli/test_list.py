"""stackctl list: the names, of stackd or else of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import Shop, service, stackctl
from tests.peer import Peer

SERVICES = """
[services.web]
command = "not a list: a mistake, and no matter here"
[services."celery.beat"]
[services.Web]
[services."web\\n"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration of a stack whose socket is the one of `peer`, if there is one."""
    file = tmp_path / "stackd.toml"
    file.write_text(f"[control]\nsocket = 'ipc://{tmp_path}/control.sock'\n{SERVICES}")
    return file


def test_the_names_are_those_of_the_stackd_that_runs(peer: Peer, shop: Shop, file: Path) -> None:
    shop.services["celery.beat"] = service("celery.beat")

    assert stackctl("-c", file, "list") == (0, "db\nweb\ncelery.beat\n", "")
    assert stackctl("--socket", peer.endpoint, "list", "--json") == (
        0, '{"v":1,"ok":true,"services":["db","web","celery.beat"]}\n', ""
    )  # fmt: skip


def test_without_stackd_they_are_those_of_the_file_that_can_be_names(file: Path) -> None:
    cannot = f"cannot reach stackd at ipc://{file.parent}/control.sock: it is not running"
    remarks = [f"start it with: stackd -c {file}", f"the names are those in {file}"]

    ran = stackctl("-c", file, "list")
    assert (ran.code, ran.out) == (4, "web\ncelery.beat\n")
    assert ran.err.splitlines() == [f"stackctl: {cannot}", *(f"  {remark}" for remark in remarks)]
    told = stackctl("-c", file, "list", "--json")
    assert (told.code, told.json["ok"], told.json["services"]) == (4, False, ["web", "celery.beat"])
    assert told.json["error"] == {"kind": "not-running", "message": cannot, "detail": remarks}


def test_the_file_is_not_asked_about_the_stack_of_a_socket(file: Path) -> None:
    nobody = ("--socket", f"ipc://{file.parent}/none.sock", "list")

    alone = stackctl(*nobody, STACKD_CONFIG=str(file))
    assert (alone.code, alone.out, "it is not running" in alone.err) == (4, "", True)
    assert stackctl(*nobody, "-c", file).out == "web\ncelery.beat\n"


@pytest.mark.parametrize("text", ["", "services = 3", "services = ["])
def test_a_file_without_names_is_no_help(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stackd.toml"
    file.write_text(text)

    ran = stackctl("--socket", f"ipc://{tmp_path}/none.sock", "-c", file, "list")

    assert (ran.code, ran.out) == (4, "")
    assert ran.err.endswith("it is not running\n")


def test_a_stackd_that_does_not_answer_is_not_waited_for_long(file: Path) -> None:
    with Peer(file.parent, lambda _: ()):
        ran = stackctl("-c", file, "list")

    assert (ran.code, ran.out) == (4, "web\ncelery.beat\n")
    assert "did not answer within 1 s" in ran.err
