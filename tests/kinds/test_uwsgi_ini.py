"""uWSGI's ini files, as uWSGI 2.0.30 reads them."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.uwsgi_ini import IniReader
from tests.kinds.given import TextFiles

INI = "/srv/sites/shop/web.ini"


def options(text: str, *arguments: str, **others: str) -> list[tuple[str, str]]:
    """The options of an ini file; other files are in /srv, where uWSGI is started."""
    files = {INI: text} | {f"/srv/{name}.ini": other for name, other in others.items()}
    reader = IniReader(TextFiles(files), "/srv", {"PORT": "9000"})
    reader.read_file(INI)
    reader.read_arguments(arguments)
    assert reader.problems == []
    return list(reader.options())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[uwsgi]\nsocket=:8001", [("socket", ":8001")]),
        ("[uwsgi]\r\n\t socket \t = \t :8001 \r\n", [("socket", ":8001")]),
        ("[uwsgi]\nmaster", [("master", "true")]),
        ("[uwsgi]\nsocket = :1\nsocket = :2", [("socket", ":1"), ("socket", ":2")]),
        ("[uwsgi]\n; a = b\n# c = d\n\n", []),
        ("[uwsgi]\nsocket = a ; b # c", [("socket", "a ; b # c")]),
        ("[uwsgi]\nenv = A=B=C", [("env", "A=B=C")]),
        ('[uwsgi]\nlogformat = "quoted"', [("logformat", '"quoted"')]),
        ("socket = :1\n[other]\nsocket = :2\n[uwsgi]\nsocket = :3\n[more]\nsocket = :4", [("socket", ":3")]),
        ("[uwsgi]\na = 1\n[other]\nb = 2\n[uwsgi]\nc = 3", [("a", "1"), ("c", "3")]),
        ("[uwsgi]\nset = socket=:1\nset-ph = name=x", [("socket", ":1"), ("name", "x")]),
    ],
)
def test_lines_become_options(text: str, expected: list[tuple[str, str]]) -> None:
    assert options(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("%dapp.sock", "/srv/sites/shop/app.sock"),
        ("%p", INI),
        ("%s", "web.ini"),
        ("%n.sock", "web.sock"),
        ("%e", "ini"),
        ("%c", "shop"),
        ("%v/app.sock", "/srv/app.sock"),
        ("%0-%1-%2", "srv-sites-shop"),
        ("100%%", "100%"),
        ("$(PORT)", "9000"),
        ("%(name).sock", "shop.sock"),
        ("/run/%(name)-%(name)-$(PORT)", "/run/shop-shop-9000"),
    ],
)
def test_magic_variables_and_references_are_replaced(value: str, expected: str) -> None:
    assert options(f"[uwsgi]\nname = shop\nx = {value}")[1:] == [("x", expected)]


def test_a_reference_takes_the_first_option_of_its_name() -> None:
    found = options("[uwsgi]\nport = 1\nport = 2\nsocket = :%(port)")

    assert found[-1] == ("socket", ":1")


def test_a_reference_may_lead_to_another() -> None:
    found = options("[uwsgi]\nbase = /run\ndir = %(base)/shop\nsocket = %(dir)/app.sock")

    assert found[-1] == ("socket", "/run/shop/app.sock")


@pytest.mark.parametrize("value", ["$(UNSET)", "%(unset)", "@(/etc/port)", "/run/%h.sock", "%(port + 1)"])
def test_what_cannot_be_known_is_left_out(value: str) -> None:
    assert options(f"[uwsgi]\nsocket = {value}\nmaster = 1") == [("master", "1")]


@pytest.mark.parametrize(
    "logic", ["if-env = A", "if-not-file = /a", "ifdir = /", "for = 1 2", "for-glob = /*"]
)
def test_options_within_logic_are_left_out(logic: str) -> None:
    end = "end" + logic[:3].strip(" -").replace("ifd", "if")

    assert options(f"[uwsgi]\n{logic}\nsocket = :1\n{end} =\nmaster = 1") == [("master", "1")]


def test_options_that_begin_like_logic_are_none() -> None:
    assert options("[uwsgi]\nforkbomb-delay = 2\nsocket = :1")[1:] == [("socket", ":1")]


@pytest.mark.parametrize(
    "line",
    ["ini = base.ini", "include = base.ini", "inherit = base.ini", "config = base.ini", "ini = %v/base.ini"],
)
def test_an_include_is_relative_to_where_uwsgi_is_started(line: str) -> None:
    found = options(f"[uwsgi]\n{line}\nmaster = 1", base="[uwsgi]\nsocket = %n.sock")

    assert found == [("socket", "base.sock"), ("master", "1")]


def test_an_include_may_name_a_section() -> None:
    text = "[uwsgi]\nini = :more\nini = base.ini:shop\n[more]\nmaster = 1"

    assert options(text, base="[shop]\nsocket = :1") == [("master", "1"), ("socket", ":1")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--socket", ":2"], [("socket", ":2")]),
        (["--socket=:2"], [("socket", ":2")]),
        (["-s", ":2"], [("socket", ":2")]),
        (["-M", "--vacuum", "--socket", ":2"], [("master", "true"), ("vacuum", "true"), ("socket", ":2")]),
        (["--set", "socket=:2"], [("socket", ":2")]),
    ],
)
def test_arguments_come_after_the_file(arguments: list[str], expected: list[tuple[str, str]]) -> None:
    assert options("[uwsgi]\nsocket = :1", *arguments) == [("socket", ":1"), *expected]


def test_a_missing_include_is_a_problem() -> None:
    reader = IniReader(TextFiles({INI: "[uwsgi]\nini = none.ini"}), "/srv", {})
    reader.read_file(INI)

    assert reader.problems == [
        "cannot read /srv/none.ini: No such file or directory; name a file that uWSGI can read"
    ]


def test_a_file_that_includes_itself_is_a_problem() -> None:
    reader = IniReader(TextFiles({INI: f"[uwsgi]\nini = {INI}"}), "/srv", {})
    reader.read_file(INI)

    assert reader.problems == [f"{INI} includes itself; remove that line"]
