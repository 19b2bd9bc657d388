"""The example site under one of the supervisors: started, stopped, and what each leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from benchmarks import census, peers
from benchmarks.site import ROOT, STACKD, Site

PATIENCE = 60.0

# Each kill stands for the crash of a service that has been well for long. stackd takes one that comes
# within ten seconds of the last for a loop, and waits; here a tenth of a second is long enough.
LASTING = 'backoff = { reset_after = "100ms" }\nstart_limit = { burst = 1000000, interval = 60 }\n'
# A hung service is found by three misses in a row: within 4.5 s, instead of within half a minute. mysqld and
# uWSGI are only looked at, whether they are stopped, and that has no timeout.
ALIVE = 'alive = { interval = "500ms", failures = 3 }\n'
ALIVE_ASKED = 'alive = { interval = "500ms", timeout = "1s", failures = 3 }\n'
ASKED = ("redis", "nginx")


def installed() -> list[str]:
    """The supervisors that can be measured."""
    return ["stackd", *peers.installed()]


class Supervised:
    """A supervisor with the site. `probes`: let stackd ask often whether the services answer."""

    def __init__(self, name: str, site: Site, probes: bool) -> None:
        self.name = name
        self.site = site
        self._probes = probes
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until the whole site answers."""
        with (self.site.folder / "log/supervisor.out").open("ab") as output:
            self._process = subprocess.Popen(self._command(), cwd=ROOT, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while problem := census.take(self.site.folder).wrong():
            assert self._process.poll() is None, f"{self.name} ended: {self._said()}"
            assert time.monotonic() < deadline, (
                f"{self.name} does not start the site: {problem}; {self._said()}"
            )
            time.sleep(0.02)
        self.site.wait_for("/db", self._process, PATIENCE)

    def stop(self) -> list[str]:
        """Stop it; what it leaves behind is named, and ended by force."""
        assert self._process is not None, "not started"
        ended = peers.end(self._process, PATIENCE)
        left = [str(each) for each in census.take(self.site.folder).processes]
        while found := census.take(self.site.folder).processes:
            for each in found:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
            time.sleep(0.02)
        return left if ended else [f"{self.name} itself", *left]

    def _command(self) -> list[str]:
        if self.name == "stackd":
            self.site.edit("stackd.toml", *(self._lines(server) for server in self.site.ports))
            return [*STACKD, "-c", str(self.site.folder / "stackd.toml")]
        values = {"uwsgi": f"{sys.prefix}/bin/uwsgi"}
        ports = {f"{name}_port": port for name, port in self.site.ports.items()}
        return peers.command(self.name, f"{self.name}-site.conf", self.site.folder, **values, **ports)

    def _lines(self, server: str) -> tuple[str, str]:
        """Lines for the table of a service, as an edit of the file."""
        alive = (ALIVE_ASKED if server in ASKED else ALIVE) if self._probes else ""
        header = f"[services.{server}]\n"
        return header, header + LASTING + alive

    def _said(self) -> str:
        return (self.site.folder / "log/supervisor.out").read_text()[-2000:]
