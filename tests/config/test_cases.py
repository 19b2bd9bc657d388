"""Every way to get it wrong: a bad file in cases/, and beside it what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.sites import Site

CASES = sorted((Path(__file__).parent / "cases").glob("*.toml"))


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_a_bad_file_is_answered_with_all_its_mistakes(case: Path, site: Site) -> None:
    expected = case.with_suffix(".expected").read_text().splitlines()

    assert site.mistakes(case.read_bytes()) == expected
