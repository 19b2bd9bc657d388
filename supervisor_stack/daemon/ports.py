"""Whether somebody else has the address that a service is about to listen on, and who."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import shlex
import socket
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from supervisor_stack.kinds.listen import tcp
from supervisor_stack.spec import Address


def is_taken(address: Address) -> bool:
    """Whether a listener holds the address. A unix socket left behind by a dead one is removed.

    nginx does not remove it itself and fails with `Address already in use`. What cannot be found out
    counts as free: the service itself will say what is wrong.
    """
    try:
        return _unix_is_taken(address.path) if address.path else _tcp_is_taken(address)
    except (OSError, OverflowError):
        return False


class Holder(NamedTuple):
    """Who holds an address: `pid 4711 (nginx: master process ...)`, and what there is to say of it."""

    who: str
    evidence: tuple[str, ...] = ()


async def find_holder(address: Address) -> Holder:
    """Who holds it. Looked up off the loop: it reads all of /proc."""
    if address.path:
        pid = _unix_holder(address.path)
    else:
        pid = await asyncio.to_thread(_tcp_holder, address)
    if not pid:
        return Holder("a process that stackd may not look into")
    unit = unit_of(_cgroup(pid))
    foreign = unit and unit != unit_of(_cgroup(os.getpid()))
    return Holder(f"pid {pid} ({_command(pid)})", (_advice(unit),) if foreign else ())


def unit_of(cgroup: str) -> str:
    """The service of systemd that a process belongs to, by its /proc/PID/cgroup; empty for none.

    Not those of a user's own systemd (user@1000.service), to which the system's systemctl has nothing to say.
    """
    for line in cgroup.splitlines():
        # cgroups(7): 0 is the hierarchy of version 2; with version 1 systemd has one of its own.
        number, controllers, path = line.split(":", 2)
        *above, last = path.split("/")
        if (number == "0" or controllers == "name=systemd") and last.endswith(".service"):
            return "" if any(each.startswith("user@") for each in above) else last
    return ""


def _advice(unit: str) -> str:
    return f"it belongs to {unit}: systemctl disable --now {shlex.quote(unit.removesuffix('.service'))}"


def meet(one: Address, other: Address) -> bool:
    """Whether two addresses are in each other's way: a wildcard is in that of its whole port."""
    if one.path or other.path:
        return one.path == other.path
    if one.port != other.port:
        return False
    hosts = {one.host, other.host}
    if (":" in one.host) != (":" in other.host):
        return "::" in hosts  # it may take IPv4 as well
    return len(hosts) == 1 or bool(hosts & {"", "*", "0.0.0.0", "::"})  # noqa: S104


def _tcp_is_taken(address: Address) -> bool:
    host = "" if address.host == "*" else address.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # With SO_REUSEADDR the bind fails for a listener only, not for connections in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.dual)
        try:
            probe.bind((host, address.port))
        except OSError as error:
            # Anything else (no such address, no permission) the service tells better itself.
            return error.errno == errno.EADDRINUSE
    return False


def _unix_is_taken(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
            return False
        except BlockingIOError:
            return True  # its queue is full: somebody holds it
        except OSError:
            return False
    return True


def _unix_holder(path: str) -> int | None:
    # SO_PEERCRED of a connection to a listener names the process that called listen(2) (unix(7)).
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except OSError:
            return None
    return int(pid)


def _tcp_holder(address: Address) -> int | None:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            # proc(5): state 0A is LISTEN.
            if fields[3] == "0A" and meet(_local_address(fields[1]), address):
                inodes.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(os.readlink(fd) in inodes for fd in (entry / "fd").iterdir()):
                return int(entry.name)
        except OSError:
            continue  # it ended, or is not ours to look into
    return None


def _local_address(field: str) -> Address:
    """proc(5): HEXADDR:HEXPORT, the address in words of four bytes as the machine has them in memory."""
    host, _, port = field.partition(":")
    words = struct.unpack(f">{len(host) // 8}I", bytes.fromhex(host))
    return tcp(str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))), int(port, 16))


def _cgroup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
        return words.decode("utf-8", "replace")[:80] or Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone meanwhile"
