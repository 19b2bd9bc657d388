"""docs/states.md is what the table says."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_about_states_is_printed_from_the_table() -> None:
    printed = runpy.run_path(str(ROOT / "script" / "states_doc.py"))["render"]()

    assert printed == (ROOT / "docs" / "states.md").read_text()
