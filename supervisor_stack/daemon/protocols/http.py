"""HTTP/1.1: a request, and the status line that comes back.

Without `expect` any status will do: a server that answers 404 or 503 does answer. What the pages
mean is for whoever wrote the site to say, by `expect`.
"""

from __future__ import annotations

import re
from typing import Final

from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import Connection, quoted
from supervisor_stack.spec import ProbeSpec

# RFC 9112, 4: the space before an empty reason phrase is required, and widely left out.
STATUS_LINE: Final = re.compile(rb"HTTP/1\.\d ([1-5]\d\d)(?: .*)?")


async def ask(connection: Connection, spec: ProbeSpec) -> Answer:
    """Request `spec.path` of the site `spec.host`."""
    request = (
        f"{spec.method} {spec.path} HTTP/1.1\r\n"
        f"Host: {spec.host}\r\n"
        "User-Agent: stackd\r\n"
        "Accept: */*\r\n"
        "Connection: close\r\n\r\n"
    )
    await connection.send(request.encode())
    return judge(await connection.line(), spec)


def judge(line: bytes, spec: ProbeSpec) -> Answer:
    """What the status line means for readiness."""
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        return Answer(f"answered {quoted(line)} instead of an HTTP status line")
    status = int(match[1])
    if spec.expect and status not in spec.expect:
        return Answer(f"answered {status}")
    return Answer()
