"""MySQL and MariaDB: the server speaks first, and its first packet tells.

A greeting means that the server accepts clients; no account is needed to see it. An error packet in
its place comes from a server that is up and refuses this client: that is ready too, as a restart
would not cure it and the site's own connections may be the ones that fill the server.

There is no way to leave without a trace: a client that closes after the greeting is one "Aborted
connection" warning in the error log and one in Aborted_connects. COM_QUIT in place of a login gives
the same, an unknown account "Access denied" (seen on MariaDB 10.11.19, log_warnings=2). So this is
asked until the first answer and not again. Over TCP from an address that is not loopback it also
counts against max_connect_errors: the unix socket is the better address where there is one.
"""

from __future__ import annotations

import re
from typing import Final

from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import Connection, quoted
from supervisor_stack.spec import ProbeSpec

# dev.mysql.com/doc/dev/mysql-server: Protocol::Packet, HandshakeV10, ERR_Packet.
HEADER_SIZE: Final = 4
LARGEST_GREETING: Final = 4096
GREETING: Final = 10
ERROR: Final = 0xFF

# ER_CON_COUNT_ERROR "Too many connections", ER_HOST_IS_BLOCKED, ER_HOST_NOT_PRIVILEGED.
REFUSALS: Final = frozenset({1040, 1129, 1130})


async def ask(connection: Connection, spec: ProbeSpec) -> Answer:  # noqa: ARG001 (one signature for all)
    """Read the first packet."""
    header = await connection.exactly(HEADER_SIZE)
    size, sequence = int.from_bytes(header[:3], "little"), header[3]
    if sequence or not 0 < size <= LARGEST_GREETING:
        return _strange(header)
    # All of it: closing with something unread resets the connection, which the server logs as an error.
    packet = await connection.exactly(size)
    if packet[0] == GREETING:
        return Answer()
    if packet[0] == ERROR and size > 3:
        return _judge_error(packet)
    return _strange(header + packet)


def _judge_error(packet: bytes) -> Answer:
    number = int.from_bytes(packet[1:3], "little")
    if number in REFUSALS:
        return Answer()
    # Before the login MySQL 5.7 and MariaDB leave out the SQL state that later versions put in front.
    words = re.sub(rb"#[0-9A-Z]{5}", b"", packet[3:], count=1)
    return Answer(f"{quoted(words)} ({number})")


def _strange(answer: bytes) -> Answer:
    return Answer(f"answered {quoted(answer)} instead of a MySQL greeting")
