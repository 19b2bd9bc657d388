"""Print docs/states.md from the tables of the core: `python script/states_doc.py > docs/states.md`."""

from __future__ import annotations

import inspect
from collections import defaultdict

from supervisor_stack.core import events as ev
from supervisor_stack.core.rules import IGNORED, RULES, SUCCESSION, Rule
from supervisor_stack.core.state import ACTIVE, DOWN, State

MEANING = {
    State.STOPPED: "nothing runs, and nothing should",
    State.WAITING: "wanted, and what it needs is not ready; `reason` names it",
    State.STARTING: "its configuration test or its process runs, and it is not ready yet",
    State.RUNNING: "its process runs; `ready` tells whether it answers",
    State.RELOADING: "running, and taking up a changed configuration, or a successor is being started",
    State.STOPPING: "it got its stop signal and is expected to leave",
    State.KILLING: "SIGKILL was sent to what is left of it",
    State.BACKOFF: "it failed and is tried again at `next_retry`",
    State.EXITED: "it came to its end as it should and is not started again",
    State.FAILED: "it failed and is not tried again before a person, or a changed file, says so",
}

HEAD = """# States of a service

Printed from the tables in `supervisor_stack/core/rules.py` by `script/states_doc.py`; a test
compares. What the operator asked for (`wanted`) is apart from the state: a running service that
shall stop stays `running` until those who need it are down.

| state | shown as | process | meaning |
|---|---|---|---|
"""


def render() -> str:
    """The text of docs/states.md."""
    rows = [
        f"| {state} | `{ACTIVE[state]} ({state})` | {'none' if state in DOWN else 'yes'} | {MEANING[state]} |"
        for state in State
    ]
    return HEAD + "\n".join(rows) + "\n\n" + _diagram() + "\n" + "\n".join(map(_section, State))


def _diagram() -> str:
    edges: dict[tuple[State, State], None] = {}
    for (state, _), rule in sorted(RULES.items(), key=lambda cell: list(State).index(cell[0][0])):
        edges |= {(state, to): None for to in sorted(rule.to) if to != state}
    lines = [f"    {state} --> {to}" for state, to in edges]
    return "```mermaid\nstateDiagram-v2\n    [*] --> stopped\n" + "\n".join(lines) + "\n```\n"


def _section(state: State) -> str:
    rules = [(event, rule) for (at, event), rule in RULES.items() if at == state]
    lines = [f"\n## {state}\n", *_table(state, rules)]
    if state is State.RELOADING:
        lines.append(
            "\nAnd when the fact is about the successor, a run that is started beside the present one:\n"
        )
        lines += _table(state, list(SUCCESSION.items()))
    why: dict[str, list[type[ev.Event]]] = defaultdict(list)
    for (at, event), reason in IGNORED.items():
        if at == state:
            why[reason].append(event)
    lines += ["\nOf no consequence here:\n"]
    lines += [
        f"- {', '.join(event.__name__ for event in events)}: {reason}" for reason, events in why.items()
    ]
    return "\n".join(lines) + "\n"


def _table(state: State, rules: list[tuple[type[ev.Event], Rule]]) -> list[str]:
    lines = ["| on | does | may lead to |", "|---|---|---|"]
    for event, rule in rules:
        does = (inspect.getdoc(rule.move) or "").split("\n", maxsplit=1)[0]
        to = ", ".join(sorted(rule.to - {state})) or "-"
        lines.append(f"| {event.__name__} | {does} | {to} |")
    return lines


if __name__ == "__main__":
    print(render(), end="")
