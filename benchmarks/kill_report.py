"""The results of the kill matrix, as a table in Markdown and as JSON."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.crash import Round
from benchmarks.traffic import Count

COLUMNS = (
    "case", "supervisor", "whole again", "after, ms", "sent", "failed", "longest gap, ms", "longest wait, ms",
    "left over",
)  # fmt: skip


@dataclass
class Outcome:
    """All rounds of a case under one supervisor. `after_stop`: what each stop of it left behind."""

    case: Case
    supervisor: str
    rounds: list[Round] = field(default_factory=list)
    after_stop: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The row of the table."""
        healed = [each.healed for each in self.rounds if each.healed is not None]
        counts = [each.load for each in self.rounds]
        cells = (
            self.case.title,
            self.supervisor,
            f"{len(healed)} of {len(self.rounds)}",
            spread(healed),
            sum(count.sent for count in counts),
            failed(counts),
            ms(max(count.gap for count in counts)),
            ms(max(count.wait for count in counts)),
            f"{sum(len(each.leftovers) for each in self.rounds)}, after the stop {len(self.after_stop)}",
        )
        return row(cells)

    def notes(self) -> list[str]:
        """What the table has no column for."""
        who = f"{self.supervisor}, {self.case.title}"
        found = []
        if answered := [each.answered for each in self.rounds if each.answered is not None]:
            found.append(f"{who}: answers again after {spread(answered)} ms")
            if bare := [each.bare for each in self.rounds if each.bare is not None]:
                ratio = statistics.median(answered) / statistics.median(bare)
                found[-1] += f", {ratio:.2f} times its bare start of {spread(bare)} ms"
        if ports := [each.ports for each in self.rounds if each.ports]:
            found.append(f"{who}: {told(ports)} at its own port")
            found.append(
                f"{who}: {told([each.without_database for each in self.rounds])} for the page without it"
            )
        if long := Counter(each.long_request for each in self.rounds if each.long_request):
            found.append(f"{who}: the long request ended with {kinds(long)}")
        found += [f"{who}: not whole: {problem}" for problem in {each.problem for each in self.rounds} - {""}]
        return found


def row(cells: Iterable[object]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def told(counts: Sequence[Count]) -> str:
    """What became of the requests of a second load, or of a part of the first."""
    sent, wait = sum(count.sent for count in counts), max(count.wait for count in counts)
    return f"of {sent} requests {failed(counts)} failed, longest wait {ms(wait)} ms"


def failed(counts: Iterable[Count]) -> str:
    """How many failed, and how."""
    return kinds(sum((Counter(count.failed) for count in counts), Counter()))


def kinds(counter: Counter[str]) -> str:
    """The sum, and its parts: `14 (12 refused, 2 502)`."""
    parts = ", ".join(f"{number} {kind}" for kind, number in counter.most_common())
    return f"{counter.total()} ({parts})" if parts else "0"


def spread(seconds: Sequence[float]) -> str:
    """`median [min..max]` in milliseconds."""
    return (
        f"{ms(statistics.median(seconds))} [{ms(min(seconds))}..{ms(max(seconds))}]" if seconds else "never"
    )


def ms(seconds: float) -> str:
    """Milliseconds."""
    return f"{seconds * 1000:.0f}"


def show(outcomes: Sequence[Outcome]) -> None:
    """Print the table and what belongs below it."""
    print(f"\n{row(COLUMNS)}\n{row('---' for _ in COLUMNS)}")
    for outcome in outcomes:
        print(outcome.line())
    print()
    for outcome in outcomes:
        for note in outcome.notes():
            print(f"* {note}")
    late = max((each.load.late for outcome in outcomes for each in outcome.rounds), default=0)
    print(f"* the load itself was never more than {ms(late)} ms late")


def save(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write everything that was measured."""
    raw = [
        {"case": outcome.case.name, "supervisor": outcome.supervisor, "after_stop": outcome.after_stop}
        | {"rounds": [asdict(each) for each in outcome.rounds]}
        for outcome in outcomes
    ]
    path.write_text(json.dumps(raw, indent=1))
