"""The deaths of supervisors, as tables in Markdown and as JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.death import Round
from benchmarks.deaths import UNDER_WAY
from benchmarks.kill_report import failed, ms, row, spread
from benchmarks.numbered import Verdict

COLUMNS = (
    "supervisor", "kills", "healed", "adopted after, ms", "within 300 ms", "settled after, ms", "requests",
    "failed", "longest wait, ms", "started without need", "two at once", "forgotten", "lines", "lost",
    "doubled, torn, misplaced",
)  # fmt: skip
CASE_COLUMNS = ("under way", "kills", "good", "adopted after, ms", "settled after, ms", "failed", "new runs")
TARGET = 0.3
# The same complaint has another pid each time.
NUMBERS = re.compile(r" ?\(pid \d+, .\)| pid \d+")


@dataclass
class Deaths:
    """All rounds of one supervisor. `lines`: one verdict from each of its starts to the stop after it.
    `after_stop`: what the stops left behind. `rotates`: whether the writer's log was rotated."""

    supervisor: str
    rounds: list[Round] = field(default_factory=list)
    lines: list[Verdict] = field(default_factory=list)
    after_stop: list[str] = field(default_factory=list)
    rotates: bool = True

    def last(self) -> str:
        """The last round in one line."""
        last = self.rounds[-1]
        told = [f"{len(self.rounds):4} {self.supervisor}, {last.case}, killed after {ms(last.offset)} ms:"]
        told.append(f"adopted after {ms(last.adopted)} ms," if last.adopted else "not adopted,")
        told.append(
            f"settled after {ms(last.settled)} ms" if last.settled else f"not settled: {last.problem}"
        )
        told += [f"; {complaint}" for complaint in complaints(last)]
        return " ".join(told)

    def line(self) -> str:
        """The row of the table."""
        rounds = self.rounds
        adopted = [each.adopted for each in rounds if each.adopted is not None]
        settled = [each.settled for each in rounds if each.settled is not None]
        wrong = [sum(getattr(each, key) for each in self.lines) for key in ("doubled", "torn", "misplaced")]
        return row(
            (
                self.supervisor,
                len(rounds),
                len(settled),
                spread(adopted),
                sum(each <= TARGET for each in adopted),
                spread(settled),
                sum(each.load.sent for each in rounds),
                failed(each.load for each in rounds),
                ms(max((each.load.wait for each in rounds), default=0.0)),
                count(each.unexpected for each in rounds),
                sum(len(each.duplicates) for each in rounds),
                sum(len(each.forgotten) for each in rounds),
                sum(each.written for each in self.lines),
                sum(each.lost for each in self.lines),
                ", ".join(map(str, wrong)),
            )
        )

    def cases(self) -> list[str]:
        """A row for each thing that was under way."""
        found = []
        for case in UNDER_WAY:
            if rounds := [each for each in self.rounds if each.case == case.name]:
                cells = (
                    case.title,
                    len(rounds),
                    sum(each.is_good for each in rounds),
                    spread([each.adopted for each in rounds if each.adopted is not None]),
                    spread([each.settled for each in rounds if each.settled is not None]),
                    failed(each.load for each in rounds),
                    count(each.starts for each in rounds),
                )
                found.append(row(cells))
        return found

    def notes(self) -> list[str]:
        """What the table has no column for."""
        told = [f"two runs of {role} at once" for each in self.rounds for role in each.duplicates]
        told += [complaint for each in self.rounds for complaint in (*each.forgotten, *each.wrong)]
        told += [f"not whole: {each.problem}" for each in self.rounds if each.problem]
        told += [f"after a stop: {each}" for each in self.after_stop]
        counted = Counter(NUMBERS.sub("", each) for each in told)
        found = [f"{complaint} ({number} times)" for complaint, number in counted.most_common()]
        for role in sorted({role for each in self.rounds for role in each.overlaps}):
            longest = max(each.overlaps.get(role, 0.0) for each in self.rounds)
            found.append(f"two runs of {role} side by side for {longest:.1f} s at most")
        blocked = max((each.blocked for each in self.lines), default=0.0)
        found.append(f"the writer had to wait {ms(blocked)} ms at most")
        if not self.rotates:
            found.append("the writer's log was not rotated")
        return [f"{self.supervisor}: {each}" for each in found]


def complaints(each: Round) -> list[str]:
    """What one round had that it should not."""
    found = [f"{number} failed ({kind})" for kind, number in sorted(each.load.failed.items())]
    found += [
        f"{number} main processes of {role} too many" for role, number in sorted(each.unexpected.items())
    ]
    found += [f"two runs of {role} at once" for role in each.duplicates]
    return [*found, *each.forgotten, *each.wrong]


def count(parts: Iterable[dict[str, int]]) -> str:
    """The sum, and its parts: `3 (2 mysqld, 1 nginx)`."""
    total: Counter[str] = Counter()
    for each in parts:
        total.update(each)
    told = ", ".join(f"{number} {role}" for role, number in sorted(total.items()))
    return f"{total.total()} ({told})" if told else "0"


def show(results: Sequence[Deaths]) -> None:
    """Print the tables and what belongs below them."""
    print(f"\n{row(COLUMNS)}\n{row('---' for _ in COLUMNS)}")
    for deaths in results:
        print(deaths.line())
    for deaths in results:
        if len({each.case for each in deaths.rounds}) > 1:
            print(f"\n{deaths.supervisor}:\n\n{row(CASE_COLUMNS)}\n{row('---' for _ in CASE_COLUMNS)}")
            print(*deaths.cases(), sep="\n")
    print()
    for deaths in results:
        for note in deaths.notes():
            print(f"* {note}")
    late = max((each.load.late for deaths in results for each in deaths.rounds), default=0.0)
    print(f"* the load itself was never more than {ms(late)} ms late")


def save(path: Path, seed: int, results: Iterable[Deaths]) -> None:
    """Write everything that was measured."""
    path.write_text(json.dumps({"seed": seed, "supervisors": list(map(asdict, results))}, indent=1))
