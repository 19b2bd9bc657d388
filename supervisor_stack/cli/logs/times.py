"""When a line was written, as far as the line tells. Nothing here does I/O.

Each form is what a server is known to write, at the place where it writes it: what comes later in a
line is what visitors say. A time without a zone is local time, unless that cannot be: a Django site sets
the zone of its processes to its TIME_ZONE, and uWSGI's request lines are written in it then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH = rb"(?P<name>" + b"|".join(_MONTHS) + rb")"
_CLOCK = rb"(?P<hour>[ \d]?\d):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE = rb"(?P<zone>Z|UTC\b|[+-]\d\d:?\d\d)"
_FRACTION = rb"(?:[.,](?P<fraction>\d{1,9}))?"
_DATE = rb"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
_ISO = _DATE + rb"[T ]" + _CLOCK + _FRACTION + rb"(?: ?" + _ZONE + rb")?"
_CTIME = (
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" (?P<day>[ \d]\d) " + _CLOCK + rb" (?P<year>\d{4})"
)

FORMS = {
    # ISO 8601 and its relatives. MariaDB 10: "2026-11-26  7:46:43 0 [Note] ..." (sql_print_error, %2d);
    # MySQL 8: "2026-11-26T20:46:43.123456Z 0 [System] ..."; logging.Formatter of Python:
    # "2026-11-26 20:47:05,549 ..."; gunicorn "[2026-11-26 20:47:05 +0000] ..."; celery
    # "[2026-11-26 20:47:05,549: INFO/MainProcess] ..."; $time_iso8601 of nginx.
    "iso": rb"[\[(\"]?" + _ISO,
    # "INFO 2026-11-26 20:47:05,549 module ...": the format `verbose` of Django's howto on logging.
    "iso after a level": rb"\[?[A-Z]{4,8}\]?:? +\[?" + _ISO,
    # One object a line: log_format with escape=json, python-json-logger, structlog.
    "iso in json": rb"\{.{0,200}?\"(?:@?timestamp|time|ts|date|asctime)\": ?\"" + _ISO,
    # ngx_log_error_core() in src/core/ngx_log.c: "2026/11/26 20:46:42 [error] 12#12: ..."; local time.
    "nginx error": rb"(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d) " + _CLOCK + _FRACTION + rb" ",
    # $time_local, `combined` of nginx: when the answer was out. Django's runserver has a blank and no zone.
    "common log":
        rb".{0,400}?\[(?P<day>\d\d)/" + _MONTH + rb"/(?P<year>\d{4})[: ]"
        + _CLOCK + rb"(?: " + _ZONE + rb")?\]",
    # serverLogRaw() in src/server.c: "4711:M 26 Nov 2026 20:46:42.011 * ..."; local time.
    "redis": rb"\d+:[A-Z] (?P<day>\d\d) " + _MONTH + rb" (?P<year>\d{4}) " + _CLOCK + _FRACTION + rb" ",
    # serverLogFromHandler(): "4711:signal-handler (1795726002) ...".
    "redis signal": rb"\d+:signal-handler \((?P<epoch>\d{9,10})\)",
    # uwsgi_log_request(), ctime(3), local time: when the request came, though it is logged at its end.
    # As "[pid: 26|app: 0|req: 1/1] 127.0.0.1 () {30 vars in 331 bytes} [Thu Nov 26 20:47:05 2026] GET /".
    "uwsgi request": rb"\[pid: \d+\|.{0,400}?\} \[" + _CTIME + rb"\]",
    # "*** Starting uWSGI 2.0.30 (64bit) on [Thu Nov 26 20:47:13 2026] ***", and with `log-date` each line
    # of its own: "Thu Nov 26 20:47:13 2026 - ...".
    "uwsgi": rb"(?:\*\*\* .{0,80}?\[)?" + _CTIME,
    # MariaDB's general log ("261126 20:47:34\t 4 Connect ...", once for all of a second) and the head of an
    # entry of its slow log ("# Time: 261126  7:47:34"); the error log up to 5.5.
    "mysql short": rb"(?:# Time: )?(?P<short>\d\d)(?P<month>\d\d)(?P<day>\d\d) " + _CLOCK + rb"(?:\s|$)",
    # MySQL's slow log since 5.7: "# Time: 2026-11-26T20:47:34.123456Z".
    "mysql slow": rb"# Time: " + _ISO,
    # $msec of nginx.
    "epoch": rb"(?P<epoch>\d{10})\.(?P<fraction>\d{3})\b",
}  # fmt: skip


class Form(NamedTuple):
    """One way to write a time."""

    name: str
    match: Callable[[bytes], re.Match[bytes] | None]


_FORMS = tuple(Form(name, re.compile(pattern).match) for name, pattern in FORMS.items())


# No two zones differ by less than a quarter of an hour, nor by more than this (tzdata).
_QUARTER = 900
_FARTHEST = 26 * 3600
_EXACT = 2.0
"""Seconds by which a line may be older than its writing."""


class Clock:
    """Reads the times of one log, whose lines mostly have the same form."""

    def __init__(self) -> None:
        self._forms = list(_FORMS)
        self._is_local = False
        self._offset = 0.0

    def time_of(self, line: bytes) -> float | None:
        """Seconds since the epoch, or None for a line without a time."""
        # The last one that fitted stands first. A line has few forms, and a log few kinds of lines.
        for index, form in enumerate(self._forms):
            found = form.match(line)
            if found:
                if index:
                    self._forms.insert(0, self._forms.pop(index))
                return self._seconds(found.groupdict())
        return None

    def settled(self, time: float, written: float) -> float:
        """The time of the last line that was read, when it is known to have been written just then.

        When both differ by whole quarters of an hour, it was written in another zone than ours, and so
        were all the lines of this log that name none.
        """
        offset = round((written - time) / _QUARTER) * _QUARTER
        if not self._is_local or abs(written - time - offset) > _EXACT or abs(offset) > _FARTHEST:
            return time
        self._offset += offset
        return time + offset

    def _seconds(self, part: dict[str, bytes | None]) -> float | None:
        time = _seconds(part)
        self._is_local = not (part.get("zone") or part.get("epoch"))
        return time if time is None or not self._is_local else time + self._offset


def _seconds(part: dict[str, bytes | None]) -> float | None:
    fraction = float(b"0." + (part.get("fraction") or b"0"))
    if epoch := part.get("epoch"):
        return int(epoch) + fraction
    year, month = part.get("year"), part.get("month")
    try:
        moment = datetime(  # noqa: DTZ001  # most are in local time, which timestamp() takes it for
            int(year) if year else 2000 + _number(part, "short"),
            int(month) if month else _MONTHS.index(part["name"] or b"") + 1,
            _number(part, "day"),
            _number(part, "hour"),
            _number(part, "minute"),
            min(_number(part, "second"), 59),  # a leap second
        )
        zone = part.get("zone")
        time = (moment.replace(tzinfo=_zone(zone)) if zone else moment).timestamp() + fraction
        datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError):
        return None  # 31 February, or in UTC the year 10000
    return time


def _number(part: dict[str, bytes | None], name: str) -> int:
    return int(part[name] or b"0")


def _zone(text: bytes) -> timezone:
    if text in (b"Z", b"UTC"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text.startswith(b"-") else offset)
