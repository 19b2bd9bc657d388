"""A stream to journald, as sd_journal_stream_fd(3) makes it: each line of text becomes an entry."""

from __future__ import annotations

import socket

from supervisor_stack.errors import SpawnError

SOCKET = "/run/systemd/journal/stdout"

INFO = 6
"""The priority of lines that do not begin with one of their own, such as `<3>` (sd-daemon(3))."""


def open_stream(identifier: str, path: str = SOCKET) -> int:
    """The descriptor of a stream with this SYSLOG_IDENTIFIER; the caller closes it. Raises SpawnError.

    The protocol is that of systemd's src/libsystemd/sd-journal/journal-send.c: identifier, unit, priority,
    whether lines may begin with theirs, and whether to forward to syslog, the kernel's log and the console.
    """
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A journald that has no room in its queue lets connect(2) wait, and the loop with it.
        stream.setblocking(False)
        stream.connect(path)
        stream.shutdown(socket.SHUT_RD)
        stream.sendall(f"{identifier}\n\n{INFO}\n1\n0\n0\n0\n".encode())
        stream.setblocking(True)
    except OSError as error:
        stream.close()
        raise SpawnError(
            f"cannot log to the journal: {path}: {error.strerror or error}",
            ('`log.to = "journal"` needs a running systemd-journald; write "file"',),
        ) from error
    return stream.detach()
