"""The processes of a service as a tree, and facts that are left out when there are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from supervisor_stack.cli.details import facts, tree
from supervisor_stack.control.parts import Process
from tests.cli.shop import service

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def drawn(*parents: tuple[int, int]) -> list[str]:
    processes = [Process(pid=pid, parent=parent, command=f"p{pid}") for pid, parent in parents]
    return [branch + process.command for branch, process in tree(processes)]


@pytest.mark.parametrize(
    ("parents", "lines"),
    [
        ((), []),
        (((5, 1),), ["p5"]),
        (((5, 1), (6, 5), (7, 6), (8, 5)), ["p5", "├─ p6", "│  └─ p7", "└─ p8"]),
        (((5, 1), (6, 5), (8, 6), (7, 5)), ["p5", "├─ p6", "│  └─ p8", "└─ p7"]),
        (((9, 5), (5, 1), (4, 1)), ["p5", "└─ p9", "p4"]),
        (((5, 6), (6, 5)), ["p5", "└─ p6"]),
        (((5, 5),), ["p5"]),
    ],
    ids=["none", "one", "two levels", "order", "two roots", "ring", "itself"],
)
def test_a_process_stands_below_its_parent(parents: tuple[tuple[int, int], ...], lines: list[str]) -> None:
    assert drawn(*parents) == lines


def test_a_chain_of_thousands_is_drawn() -> None:
    assert len(drawn(*((number, number - 1) for number in range(2, 5000)))) == 4998


def test_what_is_not_as_wanted_says_what_is_wanted() -> None:
    stopped = service("web", "failed", wanted="running")

    assert ("Wanted", "running", None) in list(facts(stopped, NOW))
    assert "Wanted" not in [fact.title for fact in facts(service("web"), NOW)]
