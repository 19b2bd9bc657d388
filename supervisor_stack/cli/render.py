"""Messages as text for people. Nothing here prints, and nothing here knows a terminal.

A table is columns and rows; whoever prints it decides between plain lines and rich.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from supervisor_stack.control.messages import Detail, Notice, ServiceStatus, StatusReply

Tone = Literal["good", "busy", "bad", "idle"]

GAP = "  "
_GLYPHS: dict[Tone, str] = {"good": "●", "busy": "◌", "bad": "✗", "idle": "○"}
_ASCII_GLYPHS: dict[Tone, str] = {"good": "*", "busy": "~", "bad": "!", "idle": "-"}

# What moves the cursor, rings the bell or writes over what was shown before; not the tabulator.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Column(NamedTuple):
    """`drop`: the order in which columns go when there is not enough room; 0 stays."""

    title: str
    right: bool = False
    drop: int = 0


class Row(NamedTuple):
    """One line of a table."""

    tone: Tone
    cells: tuple[str, ...]


class Table(NamedTuple):
    """The last column is the one that may be cut."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def widths(self) -> list[int]:
        """Characters that each column needs."""
        lines = [tuple(column.title for column in self.columns), *(row.cells for row in self.rows)]
        return [max(map(len, cells)) for cells in zip(*lines, strict=True)]

    def fitted(self, width: int) -> Table:
        """Without the columns that have to go for the others to have room."""
        needed = sum(self.widths()) + len(GAP) * (len(self.columns) - 1)
        droppable = [number for number, column in enumerate(self.columns) if column.drop]
        if needed <= width or not droppable:
            return self
        gone = min(droppable, key=lambda number: self.columns[number].drop)
        columns = self.columns[:gone] + self.columns[gone + 1 :]
        rows = tuple(Row(row.tone, row.cells[:gone] + row.cells[gone + 1 :]) for row in self.rows)
        return Table(columns, rows).fitted(width)

    def lines(self) -> Iterator[str]:
        """As plain text, in full."""
        widths = self.widths()
        for cells in (tuple(column.title for column in self.columns), *(row.cells for row in self.rows)):
            padded = (
                cell.rjust(width) if column.right else cell.ljust(width)
                for cell, width, column in zip(cells, widths, self.columns, strict=True)
            )
            yield GAP.join(padded).rstrip()


STATUS_COLUMNS = (
    Column(""),
    Column("SERVICE"),
    Column("STATE"),
    Column("READY"),
    Column("SINCE", drop=1),
    Column("PID", right=True),
    Column("CPU", right=True, drop=3),
    Column("MEM", right=True, drop=4),
    Column("RST", right=True, drop=2),
    Column("NOTE"),
)


def headline(reply: StatusReply, now: datetime) -> str:
    """The stack in one line."""
    up = age(reply.stackd.since, now)
    return GAP.join((reply.stack.name, reply.stack.state, f"up {up}", f"stackd pid {reply.stackd.pid}"))


def status_table(services: Sequence[ServiceStatus], now: datetime) -> Table:
    """A line for each service."""
    return Table(STATUS_COLUMNS, tuple(_status_row(service, now) for service in services))


def _status_row(service: ServiceStatus, now: datetime) -> Row:
    tone = tone_of(service)
    cells = (
        glyph(tone),
        service.name,
        state(service),
        "yes" if service.ready else "no",
        age(service.since, now),
        "-" if service.pid is None else str(service.pid),
        percent(service.cpu_percent),
        size(service.memory_bytes),
        str(service.restarts),
        note(service, now),
    )
    return Row(tone, cells)


def details(service: ServiceStatus, now: datetime) -> Iterator[str]:
    """All that is known of one service, a fact to a line."""
    yield f"{glyph(tone_of(service))} {service.name} ({service.kind})"
    for title, value in _facts(service, now):
        if value:
            yield f"{title:>10}: {value}"
    yield from _history(service.detail or Detail(), now)


def _facts(service: ServiceStatus, now: datetime) -> Iterator[tuple[str, str]]:
    ready = "ready" if service.ready else "not ready"
    yield "State", f"{state(service)}, {ready}, since {service.since} ({age(service.since, now)})"
    yield "Wanted", service.wanted if service.wanted != _is(service) else ""
    yield "Reason", note(service, now)
    adopted = ", adopted" if service.adopted else ""
    yield "PID", f"{service.pid} (run {service.run}{adopted})" if service.pid else ""
    yield "Leaving", ", ".join(f"run {run}" for run in (service.detail or Detail()).other_runs)
    yield "Restarts", str(service.restarts or "")
    if service.processes:
        used = f"{percent(service.cpu_percent)} CPU, {size(service.memory_bytes)} memory"
        yield "Uses", f"{used}, {counted(service.processes, 'process', 'processes')}"
    detail = service.detail or Detail()
    yield "Command", " ".join(detail.command)
    yield "Config", f"{detail.config} (copy of {detail.kept})" if detail.kept else detail.config
    yield "Listens", ", ".join(detail.addresses)
    yield "Held", ", ".join(detail.held)
    yield "Probe", detail.probe
    yield "Alive", detail.alive
    yield "Requires", ", ".join(detail.requires)
    yield "Wants", ", ".join(detail.wants)
    yield "After", ", ".join(detail.after)
    yield "Needed by", ", ".join(detail.needed_by)
    yield "Watches", ", ".join(detail.watching)
    yield "Logs", ", ".join(log_files(detail))
    yield "Output", f"goes to {detail.log_to}" if detail.log_to not in ("", "file") else ""


def _history(detail: Detail, now: datetime) -> Iterator[str]:
    if detail.tree:
        yield " Processes:"
        for process in detail.tree:
            uses = f"{percent(process.cpu_percent):>6} {size(process.memory_bytes):>6}"
            yield f"    {process.pid:>7} {uses}  {process.command}"
    if detail.exits:
        yield "   Earlier:"
        for past in detail.exits:
            when = f"{age(past.time, now)} ago, after {past.lasted:.1f}s"
            yield f"    run {past.run} ended {when}: {past.reason}"
    if detail.evidence:
        yield "  Evidence:"
        yield from (f"    {line}" for line in detail.evidence)


def log_files(detail: Detail) -> list[str]:
    """The log files of a service: first what it printed."""
    return [path for path in dict.fromkeys((detail.log, *detail.logs)) if path]


def visible(text: bytes) -> str:
    """Text of a log that a terminal only shows: visitors choose what stands there."""
    return harmless(text.decode(errors="replace"))


def harmless(text: str) -> str:
    """Text of somebody else that a terminal only shows."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def event_lines(notice: Notice) -> Iterator[str]:
    """A notice, and below it what it has for evidence."""
    changed = notice.state if notice.state == notice.previous else f"{notice.previous} -> {notice.state}"
    yield GAP.join(filter(None, (notice.time, notice.service, changed, notice.event, notice.reason)))
    yield from (GAP + line for line in notice.detail)


def tone_of(service: ServiceStatus) -> Tone:
    """How alarming the state of a service is."""
    return tone(service.state, service.active, service.ready)


def tone(state: str, active: str, ready: bool, task: bool = False) -> Tone:
    """How alarming a state is. A task is at work while it runs, and ready when it is done."""
    if task and state == "running":
        return "busy"
    if state in ("failed", "backoff"):
        return "bad"
    if active in ("active", "reloading"):
        return "good" if ready or state == "reloading" else "bad"
    return "idle" if active == "inactive" else "busy"


def glyph(tone: Tone) -> str:
    """The sign of a tone, as far as the encoding of the terminal has it."""
    return (_GLYPHS if has_signs() else _ASCII_GLYPHS)[tone]


def has_signs() -> bool:
    """Whether the terminal takes more than letters."""
    # Not sys.stdout, which a full-screen program puts something else in the place of.
    encoding = (sys.__stdout__ and sys.__stdout__.encoding) or ""
    return encoding.lower().replace("-", "") == "utf8"


def state(service: ServiceStatus) -> str:
    """As systemd writes it: `active (running)`."""
    return f"{service.active} ({service.state})"


def note(service: ServiceStatus, now: datetime) -> str:
    """Why it is not as wanted, and when it is tried again."""
    if not service.next_retry:
        return service.reason
    retry = f"retry in {span((datetime.fromisoformat(service.next_retry) - now).total_seconds())}"
    return f"{service.reason}; {retry}" if service.reason else retry


def age(since: str, now: datetime) -> str:
    """The time since then."""
    return span((now - datetime.fromisoformat(since)).total_seconds()) if since else "-"


def utc_now() -> datetime:
    """Now, for the ages."""
    return datetime.now(UTC)


def span(seconds: float) -> str:
    """A time in its two largest units. What a clock that was set back makes negative is none."""
    left = max(0, round(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        whole, left = divmod(left, length)
        parts.append(f"{whole}{unit}" if whole else "")
    first = next((number for number, part in enumerate(parts) if part), len(parts) - 1)
    return " ".join(filter(None, parts[first : first + 2])) or "0s"


def duration(seconds: float) -> str:
    """A measured time: 34ms, 1.234s, 2m 3s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    return f"{seconds:.3f}s" if seconds < 60 else span(seconds)


def size(number: int | None) -> str:
    """Bytes as people write them: 980K, 18M, 1.2G."""
    if number is None:
        return "-"
    value = float(number)
    for unit in "BKMGT":
        if value < 1000 or unit == "T":
            break
        value /= 1024
    return f"{value:.1f}{unit}" if value < 10 and unit != "B" else f"{value:.0f}{unit}"


def percent(number: float | None) -> str:
    """A share of one processor."""
    return "-" if number is None else f"{number:.1f}%"


def counted(number: int, one: str, many: str) -> str:
    """`1 process`, `2 processes`."""
    return f"{number} {one if number == 1 else many}"


def _is(service: ServiceStatus) -> str:
    """What it is, in the words of `wanted`."""
    return "stopped" if service.active in ("inactive", "failed", "deactivating") else "running"
