"""Hang up, and see whether the other side does so too.

For servers in front of which stackd holds the listening socket: a connection is made by the kernel
even when nobody is there to accept it, but only a process at work closes it. A server that is driven
by events closes as soon as it sees the end of the stream, before it has a request to log: nginx 1.22
writes nothing, neither for plain HTTP nor for TLS, HTTP/2, `proxy_protocol` or `deferred` (tried;
"client closed connection" is of level info).
"""

from __future__ import annotations

from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import LINE_LIMIT, Connection
from supervisor_stack.spec import ProbeSpec


async def ask(connection: Connection, spec: ProbeSpec) -> Answer:  # noqa: ARG001 (one signature for all)
    """Close the sending side and wait for the end; a server that talks instead is at work as well."""
    connection.finish()
    await connection.rest(LINE_LIMIT)
    return Answer()
