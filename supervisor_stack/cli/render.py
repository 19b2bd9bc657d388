"""Messages as text for people. Nothing here prints, and nothing here knows a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from supervisor_stack.cli.table import GAP, Column, Row, Table, Tone
from supervisor_stack.control.messages import Notice, StatusReply
from supervisor_stack.control.parts import ServiceStatus

_GLYPHS: dict[Tone, str] = {"good": "●", "busy": "◌", "bad": "✗", "idle": "○"}
_ASCII_GLYPHS: dict[Tone, str] = {"good": "*", "busy": "~", "bad": "!", "idle": "-"}

_MOST = 2**64

# What moves the cursor, rings the bell or writes over what was shown before; not the tabulator.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def _in_brackets(state: str) -> str:
    """`running` of `active (running)`."""
    return state.rpartition("(")[2].rstrip(")")


STATUS_COLUMNS = (
    Column(""),
    Column("SERVICE", cut=True),
    Column("STATE", drop=5, short=_in_brackets),
    Column("READY", drop=7),
    Column("SINCE", drop=1),
    Column("PID", right=True, drop=6),
    Column("CPU", right=True, drop=3),
    Column("MEM", right=True, drop=4),
    Column("RST", right=True, drop=2),
    Column("NOTE"),
)


def headline(reply: StatusReply, now: datetime) -> str:
    """The stack in one line."""
    up = age(reply.stackd.since, now)
    return GAP.join((reply.stack.name, reply.stack.state, f"up {up}", f"stackd pid {reply.stackd.pid}"))


def titles(reply: StatusReply, now: datetime) -> Iterator[str]:
    """The stack in one line, and below it what is wrong with stackd itself."""
    yield headline(reply, now)
    if reply.stack.warning:
        yield harmless(f"warning: {reply.stack.warning}")


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
        harmless(note(service, now)).replace("\t", " "),
    )
    return Row(tone, cells)


def visible(text: bytes) -> str:
    """Text of a log that a terminal only shows: visitors choose what stands there."""
    return harmless(text.decode(errors="replace"))


def harmless(text: str) -> str:
    """Text of somebody else that a terminal only shows."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def event_lines(notice: Notice) -> Iterator[str]:
    """A notice, and below it what it has for evidence."""
    changed = notice.state if notice.state == notice.previous else f"{notice.previous} -> {notice.state}"
    by = f"by {notice.by}" if notice.by else ""
    told = (notice.time, notice.service, changed, notice.event, by, notice.reason)
    yield harmless(GAP.join(filter(None, told)))
    yield from (GAP + harmless(line) for line in notice.detail)


def tone_of(service: ServiceStatus) -> Tone:
    """How alarming the state of a service is."""
    # Its type is not told. A service that runs and is not ready has a reason; a task has none, it is at work.
    is_at_work = service.state == "running" and not service.ready and not service.reason
    return tone(service.state, service.active, service.ready, is_at_work)


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
    retry = f"retry in {_between(now, _moment(service.next_retry))}"
    return f"{service.reason}; {retry}" if service.reason else retry


def age(since: str, now: datetime) -> str:
    """The time since then."""
    return _between(_moment(since), now)


def _between(start: datetime | None, end: datetime | None) -> str:
    return span((end - start).total_seconds()) if start and end else "-"


def _moment(text: str) -> datetime | None:
    """A time as stackd tells it; None for what is none, whatever a broken stackd sends."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


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


def offset(seconds: float) -> str:
    """The distance of two moments that are to be told apart, also after days: 34ms, 1.234s, 6m 2.123s."""
    if seconds < 60:
        return duration(seconds)
    minutes, left = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h " if hours else "") + f"{minutes}m {left / 1000:.3f}s"


def seconds(took: float) -> str:
    """A time that somebody waited for: with tenths, while they matter."""
    return f"{took:.1f}s" if took < 60 else span(took)


def size(number: int | None) -> str:
    """Bytes as people write them: 980K, 18M, 1.2G."""
    if number is None:
        return "-"
    value = float(min(number, _MOST))  # a broken stackd may tell of more than a float can hold
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
