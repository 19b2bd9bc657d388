"""Redis and Valkey: PING.

Redis listens before it has loaded its dataset (initListeners() comes before loadDataFromDisk() in
server.c), and says -LOADING to everything meanwhile. That is the one error that means "not yet":
-NOAUTH, -WRONGPASS, -NOPERM, -DENIED, -MISCONF, -BUSY and "max number of clients" come from a server
that is up, and no waiting or restart changes them.

Redis looks at the password before it looks at loading, so that without the right one -NOAUTH hides
-LOADING: a probe without the password says ready too early (seen on redis-server 7.0).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from supervisor_stack.daemon.protocols.answer import Answer
from supervisor_stack.daemon.protocols.connection import Connection, quoted
from supervisor_stack.spec import ProbeSpec

ERROR: Final = re.compile(rb"-[A-Z]+( .*)?")
BULK_SIZE: Final = re.compile(rb"\$(\d{1,4})")
LOADED: Final = re.compile(rb"^loading_loaded_bytes:(\d{1,19})\r?$", re.MULTILINE)
ETA: Final = re.compile(rb"^loading_eta_seconds:(\d{1,9})\r?$", re.MULTILINE)


async def ask(connection: Connection, spec: ProbeSpec) -> Answer:
    """Send PING, after AUTH when the probe has a password."""
    password = spec.password.encode()
    # A bulk string and not an inline command: a password may have spaces and quotes.
    login = b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % (len(password), password) if password else b""
    await connection.send(login + b"PING\r\n")
    reply = await connection.line()
    if login:
        # How the login went shows in what PING says. A server that refuses the connection says one
        # line ("max number of clients reached") and closes: then that line is the answer.
        with suppress(ConnectionError):
            reply = await connection.line()
    if reply.startswith(b"-LOADING"):
        return await _progress(connection)
    if reply == b"+PONG" or ERROR.fullmatch(reply):
        return Answer()
    return Answer(f"answered {quoted(reply)} instead of PONG")


async def _progress(connection: Connection) -> Answer:
    # INFO is allowed while loading, and answered between two chunks of the file as PING was.
    await connection.send(b"INFO persistence\r\n")
    size = BULK_SIZE.fullmatch(await connection.line())
    block = await connection.exactly(int(size[1])) if size else b""
    eta, loaded = ETA.search(block), LOADED.search(block)
    # The time that is left is an estimate, and grows while nothing is read: only the bytes are progress.
    return Answer(
        f"redis is loading its dataset, {int(eta[1])} s left" if eta else "redis is loading its dataset",
        loaded=int(loaded[1]) if loaded else 0,
    )
