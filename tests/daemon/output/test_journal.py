"""A stream to journald, with a listener in its place: the real one is asked where systemd runs."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from supervisor_stack.daemon.output import journal
from supervisor_stack.errors import SpawnError
from tests.servers import DEADLINE


def test_a_stream_says_who_speaks_and_then_what_the_service_says(tmp_path: Path) -> None:
    path = str(tmp_path / "stdout")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(DEADLINE)
        stream = journal.open_stream("app", path)
        assert os.get_blocking(stream)
        subprocess.run(
            ["sh", "-c", "echo hello; echo '<3>sorry' >&2"], stdout=stream, stderr=stream, check=True
        )
        os.close(stream)
        connection, _ = listener.accept()
        with connection, connection.makefile() as file:
            # src/journal/journald-stream.c: identifier, unit, priority, level prefix, three times forward.
            assert file.read().splitlines() == ["app", "", "6", "1", "0", "0", "0", "hello", "<3>sorry"]


def test_without_a_journald_it_fails(tmp_path: Path) -> None:
    with pytest.raises(SpawnError) as caught:
        journal.open_stream("app", str(tmp_path / "stdout"))

    assert caught.value.message == f"cannot log to the journal: {tmp_path}/stdout: No such file or directory"


def test_a_journald_that_takes_no_connections_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "stdout")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)

        with pytest.raises(SpawnError, match="Resource temporarily unavailable"):
            journal.open_stream("app", path)
