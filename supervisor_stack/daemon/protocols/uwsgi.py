"""The uwsgi protocol: a request, packed as nginx packs it, answered in HTTP.

A real request and not uWSGI's own ping (modifier1 100): the ping is answered by a server without a
working application too, and so is sd_notify's READY=1 sent (seen on uWSGI 2.0.30).
"""

from __future__ import annotations

import struct
from typing import Final
from urllib.parse import unquote_to_bytes

from supervisor_stack.daemon.protocols import http
from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import Connection, reason
from supervisor_stack.spec import ProbeSpec

# uwsgi_500() in core/errors.c: what uWSGI answers for an application that could not be loaded. The
# "Connection: close" in first place tells it from the same page made by an application. A page of the
# site's own (`error-page-500`) cannot be told from one of the application, and counts as an answer.
BROKEN: Final = "the application does not answer: uWSGI has no working application (500)"
NO_APPLICATION: Final = b"Connection: close\r\nContent-Type: text/plain\r\n\r\nInternal Server Error"


async def ask(connection: Connection, spec: ProbeSpec) -> Answer:
    """Send a GET of `spec.path` for the site `spec.host`."""
    await connection.send(packet(spec))
    try:
        line = await connection.line()
    except ConnectionError as err:
        raise ConnectionError(
            f"{reason(err)} (uWSGI does so when the application raises an exception)"
        ) from err
    if b" 500 " in line and await connection.rest(len(NO_APPLICATION) + 1) == NO_APPLICATION:
        return Answer(BROKEN)
    return http.judge(line, spec)


def packet(spec: ProbeSpec) -> bytes:
    """The request. uWSGI reads no more than 4096 bytes of it by default (`buffer-size`)."""
    path, _, query = spec.path.partition("?")
    server, _, port = spec.host.partition(":")
    variables = {
        "REQUEST_METHOD": b"GET",
        "REQUEST_URI": spec.path.encode(),
        "PATH_INFO": unquote_to_bytes(path),
        "QUERY_STRING": query.encode(),
        "CONTENT_TYPE": b"",
        "CONTENT_LENGTH": b"",
        "SERVER_PROTOCOL": b"HTTP/1.1",
        "REQUEST_SCHEME": b"http",
        "SERVER_NAME": server.encode(),
        "SERVER_PORT": port.encode() or b"80",
        "REMOTE_ADDR": b"127.0.0.1",
        "REMOTE_PORT": b"0",
        "HTTP_HOST": spec.host.encode(),
        "HTTP_USER_AGENT": b"stackd",
        "HTTP_ACCEPT": b"*/*",
    }
    # uwsgi-docs, Protocol.rst: modifier1 0 (WSGI), size, modifier2 0; then each string after its length.
    body = b"".join(_string(name.encode()) + _string(value) for name, value in variables.items())
    return struct.pack("<BHB", 0, len(body), 0) + body


def _string(text: bytes) -> bytes:
    return struct.pack("<H", len(text)) + text
