"""The servers' own pid files: log rotation and the people of the machine go by them."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.control.messages import Reload, Restart, Stop
from tests.servers import free_port, program, wait_until
from tests.stack import RunningStack


class Nginx:
    """An nginx whose configuration says nothing of a pid file: the path is compiled in.

    The machine's own nginx has that path as well. So this is a copy of it with another path in it, as long
    as the first, as if it had been built so.
    """

    def __init__(self, folder: Path, pid_file: Path) -> None:
        self.pid_file = pid_file
        self.binary = folder / "nginx"
        built = Path(program("nginx"))
        told = subprocess.run([built, "-V"], capture_output=True, text=True, check=True).stderr
        compiled = re.search(r"--pid-path=(\S+)", told)
        assert compiled
        assert len(compiled[1]) == len(str(pid_file)), compiled[1]
        self.binary.write_bytes(built.read_bytes().replace(compiled[1].encode(), os.fsencode(pid_file)))
        self.binary.chmod(0o755)
        self.config = folder / "br_api.conf"
        temporary = "".join(
            f"{name}_temp_path {folder}/temp;\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.config.write_text(
            f"user {getpass.getuser()};\nerror_log {folder}/error.log;\nevents {{ }}\nhttp {{\n"
            f"access_log {folder}/access.log;\n{temporary}server {{ listen 127.0.0.1:{free_port()}; }}\n}}\n"
        )

    def number(self) -> int:
        """What is in the pid file; 0 for nothing."""
        try:
            return int(self.pid_file.read_text() or "0")
        except FileNotFoundError:
            return 0

    def tell(self, order: str) -> None:
        """`nginx -s`, as people do."""
        subprocess.run([self.binary, "-c", self.config, "-s", order], check=True)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    handle, name = tempfile.mkstemp(prefix="n", dir="/tmp")  # as long as /run/nginx.pid
    os.close(handle)
    Path(name).unlink()
    yield Nginx(tmp_path, Path(name))
    Path(name).unlink(missing_ok=True)


@pytest.fixture
def stack(nginx: Nginx, tmp_path: Path) -> Iterator[RunningStack]:
    toml = f"""
[services.nginx]
kind = "nginx"
config = "{nginx.config}"
binary = "{nginx.binary}"
"""
    with RunningStack(tmp_path, toml) as running:
        running.until_up()
        yield running


def until_alone(stack: RunningStack, name: str) -> None:
    def alone() -> bool:
        detail = stack.service(name).detail
        return detail is not None and not detail.other_runs

    stack.until(alone, f"{name} has no older runs")


def workers(pid: int) -> set[str]:
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_the_compiled_in_pid_file_of_nginx_stays_true(stack: RunningStack, nginx: Nginx) -> None:
    assert nginx.number() == stack.pid_of("nginx")

    assert stack.operate(Restart(services=("nginx",))).ok
    until_alone(stack, "nginx")
    assert nginx.number() == stack.pid_of("nginx")

    assert stack.operate(Reload(services=("nginx",))).ok
    assert nginx.number() == stack.pid_of("nginx")

    stack.kill("nginx")
    stack.until_run("nginx", 3)
    until_alone(stack, "nginx")
    assert nginx.number() == stack.pid_of("nginx")


def test_nginx_obeys_its_own_orders_and_log_rotation_after_a_restart(
    stack: RunningStack, nginx: Nginx, tmp_path: Path
) -> None:
    assert stack.operate(Restart(services=("nginx",))).ok
    until_alone(stack, "nginx")
    master = stack.pid_of("nginx")
    before = workers(master)

    nginx.tell("reload")
    wait_until(lambda: bool(workers(master)) and not workers(master) & before, "nginx has other workers")

    (tmp_path / "access.log").unlink()
    os.kill(nginx.number(), signal.SIGUSR1)
    wait_until((tmp_path / "access.log").exists, "nginx opens its log anew")
    assert stack.pid_of("nginx") == master


UWSGI = Path(sys.executable).with_name("uwsgi")
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]
"""


class Uwsgi:
    """A site whose ini asks for two pid files, one to be written after uWSGI has given up its rights."""

    def __init__(self, folder: Path, *, drops: bool) -> None:
        self.pid_file, self.second = folder / "uwsgi.pid", folder / "later" / "uwsgi.pid"
        self.second.parent.mkdir()
        (folder / "page.py").write_text(APPLICATION)
        self.config = folder / "uwsgi.ini"
        user = ""
        self.user = os.geteuid()
        if self.user == 0 and drops:
            self.user = pwd.getpwnam("www-data").pw_uid
            user = "uid = www-data\ngid = www-data\n"
            os.chown(self.second.parent, self.user, -1)
        self.config.write_text(
            f"[uwsgi]\nsocket = 127.0.0.1:{free_port()}\nmaster = true\nvacuum = true\n{user}"
            "module = page:application\npythonpath = %d\npidfile = %duwsgi.pid\n"
            "pidfile2 = %dlater/uwsgi.pid\n"
        )

    def numbers(self) -> set[int]:
        """What is in its pid files."""
        return {int(file.read_text() or 0) for file in (self.pid_file, self.second) if file.exists()}

    def tell(self, order: str) -> None:
        """`uwsgi --reload FILE`, as people do."""
        subprocess.run([UWSGI, f"--{order}", self.pid_file], check=True)


@pytest.fixture
def uwsgi(request: pytest.FixtureRequest) -> Iterator[Uwsgi]:
    # Not below tmp_path: another user has to enter it.
    with tempfile.TemporaryDirectory(prefix="uwsgi-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Uwsgi(Path(folder), drops=getattr(request, "param", True))


@pytest.fixture
def uwsgi_stack(uwsgi: Uwsgi) -> Iterator[RunningStack]:
    toml = f"""
[services.uwsgi]
kind = "uwsgi"
config = "uwsgi.ini"
binary = "{UWSGI}"
"""
    with RunningStack(uwsgi.config.parent, toml) as running:
        running.until_up()
        yield running


def until_true(stack: RunningStack, uwsgi: Uwsgi) -> None:
    pid = stack.pid_of("uwsgi")
    wait_until(lambda: uwsgi.numbers() == {pid}, f"the pid files of uWSGI say {pid}")


def test_the_pid_files_of_uwsgi_are_written_and_stay_true(uwsgi_stack: RunningStack, uwsgi: Uwsgi) -> None:
    until_true(uwsgi_stack, uwsgi)
    assert uwsgi.pid_file.stat().st_uid == os.geteuid()
    assert uwsgi.second.stat().st_uid == uwsgi.user

    assert uwsgi_stack.operate(Restart(services=("uwsgi",))).ok
    until_alone(uwsgi_stack, "uwsgi")
    until_true(uwsgi_stack, uwsgi)

    uwsgi_stack.kill("uwsgi")
    uwsgi_stack.until_run("uwsgi", 3)
    until_alone(uwsgi_stack, "uwsgi")
    until_true(uwsgi_stack, uwsgi)


def test_a_new_run_that_fails_leaves_the_pid_file_to_the_one_that_serves(
    uwsgi_stack: RunningStack, uwsgi: Uwsgi
) -> None:
    until_true(uwsgi_stack, uwsgi)
    (uwsgi.config.parent / "page.py").write_text("import no_such_module\n")

    assert not uwsgi_stack.operate(Restart(services=("uwsgi",))).ok
    until_alone(uwsgi_stack, "uwsgi")

    until_true(uwsgi_stack, uwsgi)


# It executes itself anew, and another user may not come to the interpreter that the tests run by.
@pytest.mark.parametrize("uwsgi", [False], indirect=True)
def test_uwsgi_reloads_by_its_pid_file(uwsgi_stack: RunningStack, uwsgi: Uwsgi) -> None:
    until_true(uwsgi_stack, uwsgi)
    master = uwsgi_stack.pid_of("uwsgi")
    before = workers(master)

    uwsgi.tell("reload")

    wait_until(lambda: bool(workers(master)) and not workers(master) & before, "uWSGI has other workers")
    assert uwsgi.numbers() == {master}


def test_the_pid_file_goes_with_a_stop_where_vacuum_says_so(uwsgi_stack: RunningStack, uwsgi: Uwsgi) -> None:
    until_true(uwsgi_stack, uwsgi)

    assert uwsgi_stack.operate(Stop()).ok

    # As uWSGI does by itself: without its rights it leaves the first one to the next start.
    assert uwsgi.pid_file.exists() == (uwsgi.user != os.geteuid())
    assert not uwsgi.second.exists()
