"""A small site for the real nginx."""

from __future__ import annotations

import getpass
from pathlib import Path

from supervisor_stack.kinds.nginx import learn
from supervisor_stack.spec import CheckReport
from tests.kinds.real import given_on_disk, run_check
from tests.servers import program


def write_site(folder: Path, http: str, top: str = "") -> Path:
    """The main file of an nginx with this in its http block, and that before it."""
    temporary = "".join(
        f"{name}_temp_path {folder}/temp;\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"user {getpass.getuser()};\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n{top}\n"
        f"events {{ }}\nhttp {{ access_log off;\n{temporary}{http} }}\n"
    )
    return config


def report_of(config: Path) -> CheckReport:
    """What the kind makes of nginx's own test of a file."""
    check = learn(given_on_disk(config, program("nginx"))).check
    assert check is not None
    assert check.read is not None
    tested = run_check(check, config.parent)
    assert tested.returncode == 0, tested.stderr
    return check.read(tested.stdout, tested.stderr)
