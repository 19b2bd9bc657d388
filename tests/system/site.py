"""Looking at the example site from outside, as its visitors and its administrator do."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

import psutil

from supervisor_stack.control.messages import Finished, Reload
from tests.stack import RunningStack


class Site(RunningStack):
    """The example site under stackd."""

    @property
    def conf(self) -> Path:
        """nginx's configuration file."""
        return self.folder / "br_api.conf"

    @property
    def port(self) -> int:
        """Where nginx listens, by its configuration."""
        found = re.search(r"listen +(\d+);", self.conf.read_text())
        assert found is not None
        return int(found[1])

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        """A page: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def edit(self, old: str, new: str) -> None:
        """Change nginx's configuration in place."""
        text = self.conf.read_text()
        assert old in text
        self.conf.write_text(text.replace(old, new))

    def reload(self, name: str = "nginx") -> Finished:
        """As `stackctl reload` does."""
        return self.operate(Reload(services=(name,)))

    def workers(self, name: str) -> set[int]:
        """The children of a service's main process."""
        return {process.pid for process in psutil.Process(self.pid_of(name)).children()}

    def until_alone(self, name: str) -> None:
        """Wait until nothing is left of older runs of a service."""

        def alone() -> bool:
            detail = self.service(name).detail
            return detail is not None and not detail.other_runs

        self.until(alone, f"{name} has no older runs")

    def reloads(self) -> int:
        """How many reloads of nginx were begun so far."""
        return sum(notice.service == "nginx" and notice.state == "reloading" for notice in self.history())
