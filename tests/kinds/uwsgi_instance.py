"""Real runs of uWSGI, started and stopped as stackd does, with a small site to look into."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from supervisor_stack.daemon.listener import US, listen
from supervisor_stack.daemon.protocols.uwsgi import packet
from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.uwsgi import KIND, learn
from supervisor_stack.spec import Address, ProbeSpec
from tests.kinds.real import given_on_disk
from tests.servers import DEADLINE, wait_until

UWSGI = str(Path(sys.executable).with_name("uwsgi"))

# Files in its folder decide how it behaves: `loading` while it loads, `go` for an answer from /slow.
APPLICATION = """
import os, pathlib, time

FOLDER = pathlib.Path(__file__).parent

while (FOLDER / "loading").exists():
    time.sleep(0.005)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        (FOLDER / f"slow-{time.monotonic_ns()}").touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


class Site:
    """An application with its ini file, and the sockets that are held for it."""

    def __init__(self, folder: Path, options: str, application: str = APPLICATION) -> None:
        self.folder = folder
        self.app = folder / "app"
        self.app.mkdir()
        self.code = self.app / "site_under_test.py"
        self.code.write_text(application)
        self.config = folder / "uwsgi.ini"
        load = "" if "mount = " in options else "module = site_under_test:application\n"
        self.config.write_text(f"[uwsgi]\nchdir = {self.app}\nmaster = true\n{load}{options}\n")
        self.held: dict[Address, int] = {}
        self._runs = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runs.close()
        self.let_go()

    def facts(self, *args: str) -> Facts:
        """What is known of it."""
        given = given_on_disk(self.config, UWSGI, *args)
        return learn(msgspec.structs.replace(given, runtime_dir=str(self.folder), umask=_umask()))

    def hold(self, *args: str) -> Facts:
        """Hold what is to be held for it."""
        facts = self.facts(*args)
        assert facts.hold is not None
        assert facts.hold.addresses is not None
        for address in facts.hold.addresses:
            if address not in self.held:
                listener = listen(address, facts.hold, US)
                assert listener
                self.held[address] = listener.fd
        return facts

    def let_go(self) -> None:
        """Hold nothing any more."""
        for fd in self.held.values():
            os.close(fd)
        self.held.clear()

    def start(self, *args: str) -> Run:
        """Another run, beside those that are there, with all that is held."""
        return self.start_as(self.hold(*args))

    def start_as(self, facts: Facts) -> Run:
        """Another run, by these facts."""
        self._count += 1
        return self._runs.enter_context(Run(self, facts, self._count))

    def slow_requests(self) -> int:
        """How many requests are, or were, being worked on."""
        return len(list(self.app.glob("slow-*")))

    def finish_slow_requests(self) -> None:
        """Let them have their answers."""
        (self.app / "go").touch()


class Run:
    """One run. What it prints is in `output` in its folder."""

    def __init__(self, site: Site, facts: Facts, number: int) -> None:
        self.facts = facts
        self.folder = site.folder / f"run-{number}"
        self.folder.mkdir()
        self._pipe = -1
        argv = facts.argv
        if facts.fifo:
            self.fifo = Path(facts.fifo.path.replace("{run}", str(number)))
            if facts.fifo.option:
                self.fifo.parent.mkdir(parents=True, exist_ok=True)
                argv += (facts.fifo.option, str(self.fifo))
        if facts.private:
            self.private = Address(path=facts.private.path.replace("{run}", str(number)))
            argv += (facts.private.option, self.private.path)
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                env={**os.environ, **KIND.env},
                cwd=site.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=tuple(site.held.values()),
                start_new_session=True,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)

    @property
    def words(self) -> str:
        """What it has printed."""
        return (self.folder / "output").read_text(errors="replace")

    def children(self) -> set[int]:
        """Its workers, and whatever else it started itself."""
        with suppress(psutil.NoSuchProcess):
            return {child.pid for child in psutil.Process(self.pid).children()}
        return set()

    def wait_for_workers(self, count: int, others_than: set[int] | None = None) -> set[int]:
        """Wait until it has so many children, all new, that obey as it does itself.

        Until it has set its handlers uWSGI ignores HUP, and Python takes INT: either would be lost.
        """
        found: set[int] = set()

        def obey() -> bool:
            nonlocal found
            assert self.process.poll() is None, self.words
            found = self.children()
            if len(found) != count or found & (others_than or set()):
                return False
            # The last handler that each sets: master_loop(), uwsgi_worker_run().
            heard = catches(self.pid, signal.SIGUSR1) and all(catches(pid, signal.SIGTERM) for pid in found)
            return heard and (self.facts.fifo is None or self.fifo.is_fifo())

        wait_until(obey, f"{count} workers obey")
        return found

    def order(self) -> None:
        """Ask it by its pipe to finish and leave, or once more."""
        assert self.facts.fifo
        if self._pipe < 0:
            self._pipe = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            os.write(self._pipe, self.facts.fifo.stop.encode())
            return
        reminder = signal.Signals[f"SIG{self.facts.fifo.remind}"]
        for child in self.children():
            if catches(child, reminder):
                os.kill(child, reminder)
        self.process.send_signal(signal.Signals[f"SIG{KIND.stop_signal}"])

    def wait(self, deadline: float = DEADLINE) -> int:
        """Its exit status, once it has one."""
        return self.process.wait(deadline)


def _umask() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), 8)


def catches(pid: int, signum: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signum - 1) & 1)


class Visit:
    """A request that is under way."""

    def __init__(self, address: Address, path: str = "/") -> None:
        tcp = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._socket = socket.socket(socket.AF_UNIX if address.path else tcp)
        self._socket.settimeout(DEADLINE)
        try:
            self._socket.connect(address.path or (address.host, address.port))
            self._socket.sendall(packet(ProbeSpec(type="uwsgi", path=path)))
        except OSError:
            self._socket.close()
            raise

    def answer(self) -> str:
        """The page; for one of the site under test the pid of the worker. A status other than 200 is told."""
        with self._socket as sock:
            answer = b""
            while chunk := sock.recv(4096):
                answer += chunk
        head, _, page = answer.decode().partition("\r\n\r\n")
        return page if head.startswith("HTTP/1.1 200 ") else head.partition("\r\n")[0]


def visit(address: Address, path: str = "/") -> str:
    """The answer to one request."""
    return Visit(address, path).answer()
