"""The manual pages: typeset without a complaint, and complete."""

from __future__ import annotations

import inspect
import signal
import subprocess
from pathlib import Path

import pytest

from share.command_line import options_of, stackctl
from share.files import FILES
from share.manual import Manual
from supervisor_stack import errors
from supervisor_stack.cli.grammar import VERBS
from supervisor_stack.cli.stackd import parser
from supervisor_stack.config.reference import TABLES
from supervisor_stack.daemon.signals import HEARD

GROFF = ("groff", "-man", "-ww", "-z", "-Tutf8")
MANDOC = ("mandoc", "-T", "lint", "-W", "style")
PAGES = [place for place in FILES if place.startswith("man/")]


def shown(page: Path) -> str:
    """What man(1) shows of it, on a wide terminal, without bold type."""
    ran = subprocess.run(
        ["man", "--local-file", "--no-hyphenation", "--no-justification", page],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "120", "MAN_KEEP_FORMATTING": ""},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert ran.stderr == ""
    return ran.stdout


@pytest.mark.parametrize("place", PAGES)
@pytest.mark.parametrize("tool", [GROFF, MANDOC], ids=["groff", "mandoc"])
def test_it_is_typeset_without_a_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, tool: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")  # mandoc misses a date
    page = tmp_path / Path(place).name
    page.write_text(FILES[place]())

    ran = subprocess.run([*tool, page], check=False, capture_output=True, encoding="utf-8")

    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_the_date_is_that_of_the_sources_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    page = FILES["man/man1/stackctl.1"]

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    assert '.TH "STACKCTL" "1" "2026-09-21" "stackd ' in page()
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert '.TH "STACKCTL" "1" "" "stackd ' in page()


def test_stackctl_has_every_verb_and_option(share: Path) -> None:
    page = shown(share / "man/man1/stackctl.1")

    line = stackctl()
    for verb in line.verbs:
        assert f"\n       {verb.usage}" in page
        assert all(option.flags[0] in page for option in verb.options)
    assert {verb.name for verb in line.verbs} == set(VERBS)
    assert all(", ".join(option.flags) in page for option in line.common)


def test_stackd_has_every_option_and_signal(share: Path) -> None:
    page = shown(share / "man/man8/stackd.8")

    assert all(", ".join(option.flags) in page for option in options_of(parser()))
    assert "--rehearse" not in page
    signals = page.partition("\nSIGNALS\n")[2].partition("\nWHAT HAPPENS WHEN\n")[0]
    assert {each for each in signal.Signals if each.name in signals} == HEARD


def test_stackd_toml_has_every_key_of_every_table(share: Path) -> None:
    page = shown(share / "man/man5/stackd.toml.5")

    for table in TABLES.values():
        for key in table.__struct_fields__:
            assert f"\n       {key}" in page, key
    # As it is to be typed: no character is another one that looks like it.
    assert 'ready = {type = "http", address = "127.0.0.1:9000", path = "/health", expect = [200]}' in page
    assert "#:schema /opt/stackd" in page


def test_every_exit_code_of_an_error_is_told(share: Path) -> None:
    page = shown(share / "man/man1/stackctl.1")
    told = page.partition("\nEXIT STATUS\n")[2].partition("\nENVIRONMENT\n")[0]

    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    codes = {each.exit_code for each in kinds if issubclass(each, errors.StackError)}
    codes |= {code for verb in VERBS.values() for code in verb.codes.values()}
    assert codes <= {int(line.split()[0]) for line in told.splitlines() if line[7:8].isdigit()}


def test_queries_are_the_verbs_that_tell_by_4_that_there_is_nobody_to_ask(share: Path) -> None:
    page = shown(share / "man/man1/stackctl.1")
    told = page.partition("\nEXIT STATUS\n")[2].partition("All else")[0].replace(",", " ").replace(".", " ")

    queries = {name for name, verb in VERBS.items() if verb.codes.get(errors.UnreachableError) == 4}
    assert set(told.split()) & set(VERBS) == queries


def test_a_usage_that_names_all_is_completed_to_it() -> None:
    for verb in stackctl().verbs:
        assert ("all" in verb.usage.split("|")) == any("all" in value.name for value in verb.arguments)


def test_what_cannot_be_typeset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new.md").write_text("## A picture\n\n![of a stack](stack.png)\n\n## A quotation\n\n> so\n")
    monkeypatch.setattr("share.manual.DOCS", tmp_path)
    manual = Manual("new.md")

    for title, what in (("A picture", "image"), ("A quotation", "blockquote_open")):
        with pytest.raises(ValueError, match=f"no way to typeset {what}"):
            manual.part(title)
    with pytest.raises(LookupError, match="no section 'A poem'"):
        manual.part("A poem")
