"""A folder with all that the configurations of these tests speak of."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor_stack.config import load
from supervisor_stack.errors import ConfigError
from supervisor_stack.spec import ServiceSpec, StackSpec

USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
"""A user that a service of these tests may run as."""

GROUP = grp.getgrgid(os.getegid()).gr_name
"""A group that a service of these tests may run as."""

SURROUNDINGS = Path(__file__).parent / "site"
PROGRAMS = (
    "celery", "gunicorn", "mariadbd", "nginx", "python3", "redis-server", "sh", "sleep", "uwsgi",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """The folder of a site, and the environment in which its configuration is read."""

    folder: Path
    environ: dict[str, str]

    @property
    def file(self) -> Path:
        """The configuration."""
        return self.folder / "stackd.toml"

    def write(self, text: str | bytes) -> Path:
        """Make a text the configuration."""
        self.file.write_bytes(text.encode() if isinstance(text, str) else text)
        return self.file

    def load(self, text: str | bytes) -> StackSpec:
        """The stack that a text describes."""
        return load(self.write(text), self.environ)

    def service(self, text: str) -> ServiceSpec:
        """The only service of the stack that a text describes."""
        (service,) = self.load(text).services
        return service

    def mistakes(self, text: str | bytes) -> list[str]:
        """The lines of the error for a text, with FILE and DIR for what differs from run to run."""
        with pytest.raises(ConfigError) as caught:
            self.load(text)
        return [self.shown(line) for line in (caught.value.message, *caught.value.detail)]

    def shown(self, text: str) -> str:
        """A text with FILE and DIR for what differs from run to run."""
        return text.replace(str(self.file), "FILE").replace(str(self.folder), "DIR")


def make_site(parent: Path) -> Site:
    """A fresh copy of the site, with programs that are there and never run."""
    folder = parent / "site"
    shutil.copytree(SURROUNDINGS, folder)
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        program = folder / "bin" / name
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    environ = {
        "PATH": f"{folder}/bin",
        "HOME": "/home/site",
        "NAME": "br_api",
        "EMPTY": "",
        "LATIN1": "\udce9",
    }
    return Site(folder, environ)
