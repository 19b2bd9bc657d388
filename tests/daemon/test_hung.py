"""A service that is there and does nothing: found and replaced, with the reason."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from tests.servers import free_port
from tests.stack import RunningStack, is_alive

# Answers until somebody asks for /hang, and from then on accepts no more.
SERVER = """
import http.server, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/hang":
            time.sleep(1000)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def test_a_stopped_service_is_replaced(tmp_path: Path) -> None:
    toml = "[services.app]\ncommand = ['sleep', '1000']\nalive = {type = 'process', interval = '50ms'}\n"
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        old = stack.kill("app", signal.SIGSTOP)
        app = stack.until_run("app", 2)
        assert app.pid != old
        assert not is_alive(old)
        assert app.detail is not None
        assert "stopped by a signal (SIGSTOP)" in app.detail.exits[-1].reason


def test_a_service_that_answers_no_more_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    probe = f"{{type = 'http', address = '127.0.0.1:{port}', interval = '50ms', timeout = '200ms'}}"
    toml = (
        f"[services.app]\ncommand = ['{sys.executable}', '-c', '''{SERVER}''', '{port}']\n"
        f"ready = {probe}\nalive = {probe}\n"
    )
    with RunningStack(tmp_path, toml) as stack:
        stack.until_up()
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            app = stack.until_run("app", 2)
        assert app.detail is not None
        assert "no answer within 0.2 s" in app.detail.exits[-1].reason
