"""The table is complete, and its moves stay within it."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from supervisor_stack.core import events as ev
from supervisor_stack.core.rules import IGNORED, RULES, step
from supervisor_stack.core.state import Service, State
from tests.core.histories import service


def all_events(root: type[ev.Event] = ev.Event) -> list[type[ev.Event]]:
    found = []
    for kind in root.__subclasses__():
        found += [kind] if kind not in (ev.RunEvent, ev.Asked) else []
        found += all_events(kind)
    return found


ANY_FIELDS = {"service": "a", "run": 0, "reason": "", "blocked": False, "pid": 1, "answer": ""} | {
    "code": 0,
    "ok": True,
    "paths": [],
    "dependency": "",
    "old": 0,
    "at": "",
    "addresses": [],
}
CELLS = list(product(State, all_events()))


def test_every_state_meets_every_event_exactly_once() -> None:
    unanswered = [cell for cell in CELLS if (cell in RULES) + (cell in IGNORED) != 1]

    assert unanswered == []


def test_no_cell_names_a_state_or_an_event_that_does_not_exist() -> None:
    assert set(RULES) | set(IGNORED) == set(CELLS)


def test_every_ignored_event_has_a_reason() -> None:
    assert all(IGNORED.values())


@pytest.mark.parametrize(("state", "event"), sorted(IGNORED, key=str))
def test_an_ignored_event_changes_nothing(state: State, event: type[ev.Event]) -> None:
    before = Service(spec=service("a"), state=state)

    assert step(before, msgspec.convert(ANY_FIELDS, event), 1.0, 0.0) == (before, ())


def test_a_move_that_leaves_the_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = (State.STOPPED, ev.StartRequested)
    strict = RULES | {cell: RULES[cell]._replace(to=frozenset())}
    monkeypatch.setattr("supervisor_stack.core.rules.RULES", strict)

    with pytest.raises(AssertionError, match="want may not lead from stopped to waiting"):
        step(Service(spec=service("a")), ev.StartRequested(service="a"), 1.0, 0.0)
