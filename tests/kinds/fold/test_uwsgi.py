"""uWSGI's ini files as one file, as uWSGI 2.0.30 reads them."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.fold.base import Answer, FoldError
from supervisor_stack.kinds.fold.uwsgi import fold, objection, question
from tests.kinds import guide
from tests.kinds.fold.sources import TextSource

INI = "/srv/sites/shop/web.ini"


def folded(text: str, config: str = INI, links: dict[str, str] | None = None, **others: str) -> list[str]:
    """The lines of the section of the copy; other files are in /srv, where uWSGI is started."""
    files = {INI: text} | {f"/srv/{name}.ini": other for name, other in others.items()}
    first, *lines = fold(config, TextSource(files, links), "/srv").splitlines()
    assert first == "[uwsgi]"
    return lines


def test_the_file_of_the_guide_stays_as_it_is() -> None:
    assert folded(guide.UWSGI_INI) == guide.UWSGI_INI.splitlines()[1:]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("%dapp.sock", "/srv/sites/shop/app.sock"),
        ("%p %P %o %O", " ".join([INI] * 4)),
        ("%s %S", "web.ini web.ini"),
        ("%n.sock %e", "web.sock ini"),
        ("%c", "shop"),
        ("%v", "/srv"),
        ("%0-%1-%2-%3", "srv-sites-shop-"),
        ("[%x%X]", "[]"),
        # The same wherever the file lies, so left to uWSGI.
        ("100%% %h %k %u %(name) $(PORT) @(/x)", "100%% %h %k %u %(name) $(PORT) @(/x)"),
        # Nothing to uWSGI, with the %.
        ("a%-b%", "ab"),
    ],
)
def test_what_the_place_of_the_file_decides_is_written_out(value: str, expected: str) -> None:
    assert folded(f"[uwsgi]\nx = {value}") == [f"x = {expected}"]


def test_a_percent_sign_in_a_path_stays_one() -> None:
    text = "[uwsgi]\nx = %d"

    assert fold("/srv/100%/web.ini", TextSource({"/srv/100%/web.ini": text}), "/").endswith(
        "x = /srv/100%%/\n"
    )


def test_a_folder_that_is_a_link_is_followed() -> None:
    copy = folded("[uwsgi]\nx = %p", config="/srv/current/web.ini", links={"/srv/current": "/srv/sites/shop"})

    assert copy == [f"x = {INI}"]


def test_a_file_that_is_a_link_stays_where_it_is() -> None:
    links = {"/etc/enabled/web.ini": INI, "/etc/apps": "/etc/enabled"}

    assert folded("[uwsgi]\nx = %p", config="/etc/apps/web.ini", links=links) == ["x = /etc/apps/web.ini"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[uwsgi]\nini = base.ini\nb = %s", ["a = base.ini of web.ini", "b = web.ini"]),
        ("[uwsgi]\nb = 1\ninclude = /srv/base.ini", ["b = 1", "a = base.ini of web.ini"]),
        ("[uwsgi]\nini=%v/base.ini", ["a = base.ini of web.ini"]),
        ("[uwsgi]\nini = :more\nb = 1\n[more]\nc = %x", ["c = more", "b = 1"]),
        ("[uwsgi]\nini = base.ini:extra", ["e = extra"]),
        # uWSGI means the file that it opened last, with all that comes of its place.
        ("[uwsgi]\nini = base.ini\nini = :extra\n[extra]\nc = 1", ["a = base.ini of web.ini", "e = extra"]),
        ("[other]\na = 1\n[uwsgi]\nb = 2\n[more]\nc = 3\n[uwsgi]\nd", ["b = 2", "d"]),
        ("[uwsgi]\n; %i\n# x\n\n \tb \t= 1 \r", ["b \t= 1"]),
        ("[uwsgi]\nif-env = X\nb = %d\nendif =", ["if-env = X", "b = /srv/sites/shop/", "endif ="]),
        (
            "[uwsgi]\nfor = 1 2\nb = %(_)\nendfor =\nini=base.ini:extra",
            ["for = 1 2", "b = %(_)", "endfor =", "e = extra"],
        ),
    ],
)
def test_an_include_becomes_what_it_includes(text: str, expected: list[str]) -> None:
    assert folded(text, base="[uwsgi]\na = %s of %S\n[extra]\ne = %x") == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("uwsgi:\n  master: true", f"{INI} has no section [uwsgi]; only ini files are folded"),
        ("[uwsgi]\nini = none.ini", "/srv/none.ini cannot be read (no such file or directory)"),
        ("[uwsgi]\nini = web.ini", "/srv/web.ini cannot be read (no such file or directory)"),
        (f"[uwsgi]\nini = {INI}", f"{INI} includes itself"),
        (
            "[uwsgi]\ninherit = a.ini",
            "'inherit = a.ini' cannot be folded in; only `ini` and `include` of ini files can",
        ),
        (
            "[uwsgi]\nyaml = a.yml",
            "'yaml = a.yml' cannot be folded in; only `ini` and `include` of ini files can",
        ),
        ("[uwsgi]\ninclude = a.yml", "'include = a.yml' names no ini file"),
        ("[uwsgi]\nini = http://x/a.ini", "'ini = http://x/a.ini' names no ini file"),
        ("[uwsgi]\nini = %h.ini", "'%h.ini' is known only to uWSGI itself"),
        (
            "[uwsgi]\nif-env = X\nini = a.ini\nendif =",
            "'ini = a.ini' depends on logic, which is decided at each start",
        ),
        ("[uwsgi]\nb = %i", "'b = %i' has a number of the file itself, which is another for a copy"),
    ],
)
def test_what_cannot_be_folded_with_certainty_is_refused(text: str, cause: str) -> None:
    with pytest.raises(FoldError) as refused:
        folded(text)

    assert str(refused.value) == cause


def test_uwsgi_is_asked_for_each_option_once() -> None:
    text = "[uwsgi]\nsocket = :1\nsocket = :2\nset-ph = a=b\n"

    assert question(("uwsgi", "--ini", INI), text) == (
        *("--set", "vacuum=false"),
        *("--get", "socket", "--get", "set-ph"),
    )


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ((), "[uwsgi]\nexec-asap = manage.py migrate"),
        ((), "[uwsgi]\nhook-asap = write:/x y"),
        ((), "[uwsgi]\nexec-as-user-atexit = x"),
        ((), "[uwsgi]\nfallback-config = /x.ini"),
        (("--exec-asap", "x"), "[uwsgi]\nmaster = 1"),
    ],
)
def test_uwsgi_is_not_started_for_a_question_when_that_would_do_something(
    argv: tuple[str, ...], text: str
) -> None:
    with pytest.raises(FoldError, match="would act at a start that is to test the copy"):
        question(("uwsgi", "--ini", INI, *argv), text)


def test_a_copy_with_other_options_is_none() -> None:
    assert objection(Answer(0, "a", ""), Answer(0, "a", "")) == ""
    assert objection(Answer(0, "b", ""), Answer(0, "a", "")).startswith("uWSGI reads other options")
    assert objection(Answer(1, "", ""), Answer(0, "a", "")).startswith("uWSGI does not start on the copy")
