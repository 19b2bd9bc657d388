"""A start that takes longer than start_timeout, and comes nearer all the while."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.servers import free_port, start_redis
from tests.stack import RunningStack

# Microseconds for each key that is loaded: three seconds in all; and how often it looks at its clients.
FILL = "for i = 1, 3000 do redis.call('SET', i, string.rep('x', 200)) end"
SLOWLY = "key-load-delay 1000\nloading-process-events-interval-bytes 1024\n"

REDIS = """
[services.redis]
kind = "redis"
config = "redis.conf"
start_timeout = "1s"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration of a Redis, and more data than it can load in a moment."""
    port = free_port()
    with start_redis(tmp_path, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f'EVAL "{FILL}" 0\r\nSAVE\r\n'.encode())
        replies = client.makefile()
        assert [replies.readline(), replies.readline()] == ["$-1\n", "+OK\n"]
    (tmp_path / "redis.conf").write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsave ''\n{SLOWLY}")
    return tmp_path


def test_redis_is_waited_for_as_long_as_it_gets_on_with_loading(folder: Path) -> None:
    began = time.monotonic()
    with RunningStack(folder, REDIS) as stack:
        redis = stack.until_state("redis", "running")
        assert time.monotonic() - began > 2
        assert (redis.run, redis.restarts) == (1, 0)
