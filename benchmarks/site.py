"""The example site, installed for a measurement; its four servers as commands, and questions to them."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from supervisor_stack.daemon.protocols import uwsgi
from supervisor_stack.spec import ProbeSpec

ROOT = Path(__file__).parent.parent
STACKD = (sys.executable, "-m", "supervisor_stack.cli.stackd")
HOST = "127.0.0.1"
FILES = ("stackd.toml", "br_api.conf", "uwsgi.ini", "redis.conf", "my.cnf")
ADMINISTRATION = ":/usr/local/sbin:/usr/sbin:/sbin"

# What to say to each server, and what is in the first bytes of a right answer.
CONVERSATIONS = {
    "mysqld": (b"", b"\x0a"),
    "redis": (b"AUTH 12345\r\nPING\r\n", b"+PONG"),
    "uwsgi": (uwsgi.packet(ProbeSpec(type="uwsgi", host=HOST)), b"HTTP/1.1 200"),
    "nginx": (b"GET /static/site.css HTTP/1.0\r\n\r\n", b"HTTP/1.1"),
}


@dataclass(frozen=True)
class Server:
    """One of the four, as it is started by hand in the foreground."""

    name: str
    argv: tuple[str, ...]
    stop: str
    user: str | None = None
    needs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


class Site:
    """The example site in a folder of its own; its files can be changed and brought back."""

    def __init__(self, folder: Path, first_port: int) -> None:
        self.folder = folder
        self.ports = {
            name: first_port + number for number, name in enumerate(("nginx", "uwsgi", "mysqld", "redis"))
        }
        variables = {
            "HTTP_PORT": "nginx",
            "UWSGI_PORT": "uwsgi",
            "MYSQL_PORT": "mysqld",
            "REDIS_PORT": "redis",
        }
        env = {variable: str(self.ports[name]) for variable, name in variables.items()}
        env = os.environ | env | {"VENV": sys.prefix, "PATH": os.environ["PATH"] + ADMINISTRATION}
        subprocess.run(["sh", ROOT / "examples/br_api/install", folder], env=env, check=True)
        self._installed = {name: (folder / name).read_text() for name in FILES}
        self.edit("uwsgi.ini")
        log = folder / "uwsgi.log"
        log.touch()
        shutil.chown(log, "www-data")

    def edit(self, name: str, *edits: tuple[str, str]) -> None:
        """Write a file as it was installed, with these replacements; each has to find its place."""
        text = self._installed[name]
        for old, new in edits:
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        (self.folder / name).write_text(text)
        if name == "uwsgi.ini":
            # No option of the command line undoes `daemonize`, so the foreground needs a file of its own.
            # It logs to a file too: a worker of uWSGI 2.0.30 that has lost its master and writes to a
            # pipe that nobody reads any more can spin in its SIGPIPE handler for ever (tried under
            # supervisord 4.3, one master in five), and keeps the listening socket.
            (self.folder / "uwsgi-foreground.ini").write_text(text.replace("daemonize =", "logto ="))

    def leave_out_the_task(self) -> None:
        """Once the database is migrated, the file without the one-shot `migrate` is the one as installed."""
        text = re.sub(r"\[services\.migrate\].*?\n\n", "", self._installed["stackd.toml"], flags=re.DOTALL)
        self._installed["stackd.toml"] = text.replace(', "migrate"', "")
        self.edit("stackd.toml")

    def url(self, page: str) -> str:
        """A page of the site."""
        return f"http://{HOST}:{self.ports['nginx']}{page}"

    def servers(self) -> Sequence[Server]:
        """The four, in the order in which they need each other."""
        env = {
            "DJANGO_SETTINGS_MODULE": "br_api.prod",
            "REDIS_URL": f"redis://:12345@{HOST}:{self.ports['redis']}/0",
        }
        uwsgi_ini, nginx_conf = str(self.folder / "uwsgi-foreground.ini"), str(self.folder / "br_api.conf")
        # As most people run it: with the file that has `daemonize yes`, and the line that overrules it.
        redis = ("redis-server", str(self.folder / "redis.conf"), "--daemonize", "no")
        return (
            Server("mysqld", ("mariadbd", f"--defaults-file={self.folder}/my.cnf"), "TERM", "mysql"),
            Server("redis", redis, "TERM", "redis"),
            Server(
                "uwsgi",
                (f"{sys.prefix}/bin/uwsgi", "--ini", uwsgi_ini),
                "INT",
                "www-data",
                ("mysqld", "redis"),
                env,
            ),
            Server("nginx", ("nginx", "-c", nginx_conf, "-g", "daemon off;"), "QUIT", None, ("uwsgi",)),
        )

    def answers(self, name: str, patience: float = 10.0, port: int | None = None) -> bool:
        """Whether a server answers its own protocol; `port`: another one of its kind."""
        say, hear = CONVERSATIONS[name]
        with socket.socket() as client:
            client.settimeout(patience)
            try:
                client.connect((HOST, port or self.ports[name]))
                client.sendall(say)
                return hear in client.recv(4096)
            except OSError:
                return False

    def shows(self, page: str, patience: float = 10.0) -> bool:
        """Whether a page comes with status 200."""
        connection = http.client.HTTPConnection(HOST, self.ports["nginx"], timeout=patience)
        try:
            connection.request("GET", page)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_for(self, page: str, supervisor: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
        """Until a page is there."""
        deadline = time.monotonic() + seconds
        while not self.shows(page):
            assert supervisor.poll() is None, f"the supervisor ended, with {supervisor.returncode}"
            assert time.monotonic() < deadline, f"{page} does not come"
            time.sleep(0.002)


@contextmanager
def stackd(site: Site, config: str = "stackd.toml") -> Iterator[subprocess.Popen[bytes]]:
    """The site under stackd."""
    argv = [*STACKD, "--log-level", "error", "-c", str(site.folder / config)]
    with ended(subprocess.Popen(argv, cwd=ROOT)) as process:
        yield process


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End it, and wait until it has."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def installed_site(first_port: int) -> Iterator[Site]:
    """The example, installed, migrated once, and without its task; on four ports from `first_port` on."""
    # However a measurement ends, its servers end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        site = Site(folder, first_port)
        with stackd(site) as process:
            site.wait_for("/db", process, 600)
        site.leave_out_the_task()
        yield site
    finally:
        shutil.rmtree(folder)
