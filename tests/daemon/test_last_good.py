"""What is kept of a good configuration is that configuration, to the last key."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from supervisor_stack.config import load
from supervisor_stack.core.differences import differences, of_stackd
from supervisor_stack.daemon.fd_store import FdStore
from supervisor_stack.daemon.last_good import NAME, LastGood, recall
from supervisor_stack.daemon.lend import LISTEN_FDS_START
from supervisor_stack.daemon.systemd import Systemd
from supervisor_stack.spec import StackSpec
from tests.config.sites import USER, make_site

STACK = f"""
[stack]
name = "shop"
[services.mysqld]
kind = "mysqld"
config = "my.cnf"
user = "{USER}"
start_timeout = "15m"
limits = {{nofile = "64KiB"}}
[services.redis]
kind = "redis"
config = "redis.conf"
env = {{HOME = "${{HOME}}"}}
[services.uwsgi]
kind = "uwsgi"
config = "uwsgi.ini"
requires = ["mysqld", "redis"]
watch = {{paths = ["uwsgi.ini"], debounce = "300ms"}}
[services.nginx]
kind = "nginx"
config = "nginx.conf"
requires = ["uwsgi"]
watch = true
[services.worker]
command = ["sleep", "1"]
hold = ["127.0.0.1:21099"]
umask = "027"
"""


class Memory(FdStore):
    """A store that remembers what it was given."""

    def keep(self, name: str, fd: int) -> None:
        """It stays open in the children of this process."""
        self.given = {name: fd}


def recalled(fd: int) -> StackSpec | None:
    """What stackd finds that systemd starts with this descriptor."""
    os.dup2(fd, LISTEN_FDS_START)
    return recall({"LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": NAME})


def in_a_child(holds: Callable[[], bool]) -> bool:
    """Whether something holds, in a process whose descriptors are nobody else's."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if holds() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_was_kept_differs_in_nothing_from_what_is_loaded(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    store = Memory(Systemd(), {})
    LastGood(store).keep(site.load(STACK))
    now = load(site.file, site.environ)

    def is_the_same() -> bool:
        found = recalled(store.given[NAME])
        assert found is not None
        changed = [
            key
            for old, new in zip(found.services, now.services, strict=True)
            for key in differences(old, new)
        ]
        return not changed and not of_stackd(found, now) and found == now

    assert in_a_child(is_the_same)


def test_a_test_whose_code_is_gone_is_done_without(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    store = Memory(Systemd(), {})
    spec = site.load(STACK)
    LastGood(store).keep(spec)
    text = os.pread(store.given[NAME], 2**20, 0)
    gone = msgspec.json.decode(text)
    gone["checks"]["nginx"] = base64.b64encode(b"cnowhere\nnothing\n.").decode()
    os.ftruncate(store.given[NAME], 0)
    os.pwrite(store.given[NAME], msgspec.json.encode(gone), 0)

    def is_the_rest() -> bool:
        found = recalled(store.given[NAME])
        assert found is not None
        checks = {service.name: bool(service.check) for service in found.services}
        return checks == {service.name: bool(service.check) for service in spec.services} | {"nginx": False}

    assert in_a_child(is_the_rest)
