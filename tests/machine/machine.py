"""A throw-away machine: Debian in a container of systemd-nspawn(1), with a systemd of its own as pid 1.

It has its own mounts, processes, cgroups and network (the loopback only). What is changed in it is kept in
memory, or in a folder of the caller, and never in the image.
"""

from __future__ import annotations

import io
import os
import re
import select
import shlex
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

BOOT_TIMEOUT = 90.0
"""Seconds until systemd has started all that belongs to the boot; on an idle machine it takes one or two."""

# What starts systemd-nspawn, in a mount namespace of its own: with the last process all mounts are gone.
# nspawn's own folder is there too, so that machines side by side know nothing of each other.
# $1: the layers below, the upper one first; $2: where changes are kept, or empty for memory; $3: a folder for
# the root; $4: a cgroup of its own, or two machines would have their units in the same ones.
# tmpfs is given its size, for its default of half the memory may be little.
# 133 is how nspawn with --keep-unit says that the machine wants to be booted again (EXIT_FORCE_RESTART in
# src/shared/exit-status.h of systemd).
MOUNT = """
set -e
mkdir -p /run/systemd/nspawn
echo 0 >"$4/cgroup.procs"
mount -t tmpfs -o mode=0700 tmpfs /run/systemd/nspawn
changes=$2
if [ -z "$changes" ]; then
    mount -t tmpfs -o mode=0755,size=4g tmpfs "$3"
    changes=$3/changes
    mkdir "$changes" "$3/root"
    root=$3/root
else
    root=$3
fi
mkdir -p "$changes/upper" "$changes/work"
mount -t overlay -o "lowerdir=$1,upperdir=$changes/upper,workdir=$changes/work" overlay "$root"
shift 4
code=133
while [ "$code" -eq 133 ]; do
    code=0
    systemd-nspawn --directory="$root" "$@" || code=$?
done
exit "$code"
"""

# Ends a machine when its input ends, so that nobody leaves one behind by dying: pid 1 of a container outlives
# a systemd-nspawn that is killed.
GUARD = 'read -r _; echo 1 >"$1/cgroup.kill"'

# Inside, nothing of this machine's environment holds, and with it none of its paths.
ENVIRONMENT = (
    "env",
    "-i",
    "HOME=/root",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


class BootError(Exception):
    """The machine did not come up; the text has the last words of its console. `is_forbidden`: the kernel or
    the container around us does not let it."""

    def __init__(self, message: str, is_forbidden: bool) -> None:
        super().__init__(message)
        self.is_forbidden = is_forbidden


def own_cgroup() -> Path:
    """Where this process is among the cgroups of version 2, wherever they are mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            break
    else:
        raise BootError("no cgroups of version 2 are mounted, and systemd needs them", is_forbidden=True)
    inside = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    assert inside is not None
    return Path(where) / inside[1]


def until_empty(cgroup: Path) -> None:
    """Wait for the last process in a cgroup and below it to be gone (cgroups(7), cgroup.events)."""
    with (cgroup / "cgroup.events").open() as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            if not poll.poll(30_000):
                raise TimeoutError(f"processes in {cgroup} are not gone 30 s after they were killed")
            events.seek(0)


class Machine:
    """One booted machine; leaving the block takes it down and forgets what was changed in it."""

    def __init__(self, layers: Sequence[Path], changes: Path | None = None) -> None:
        """`layers`: root file systems to lay over each other, the first on top. `changes`: kept there."""
        self._layers = ":".join(map(str, layers))
        self._changes = changes
        self._folder = tempfile.TemporaryDirectory(prefix="machine-")
        self._leader = 0
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        (folder / "root").mkdir()
        self._cgroup = own_cgroup() / folder.name
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._cgroup.mkdir()
        self._guard = subprocess.Popen(
            ("sh", "-c", GUARD, "sh", self._cgroup), stdin=subprocess.PIPE, start_new_session=True
        )
        with (folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                (
                    *("unshare", "--mount"),
                    *(
                        "sh",
                        "-c",
                        MOUNT,
                        "sh",
                        self._layers,
                        str(self._changes or ""),
                        folder / "root",
                        self._cgroup,
                    ),
                    *("--quiet", "--boot", "--machine=throw-away", "--notify-ready=yes"),
                    # Without a systemd outside there is nobody to register with.
                    *("--register=no", "--keep-unit", "--private-network", "--resolv-conf=off"),
                    *("--timezone=off", "--link-journal=no", "--console=read-only", "--suppress-sync=yes"),
                ),
                env=os.environ
                | {"NOTIFY_SOCKET": str(folder / "notify"), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pidfd = os.pidfd_open(self._nspawn.pid)
        try:
            self._until_up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _until_up(self) -> None:
        """Wait for the READY=1 of the systemd inside: the boot is done (systemd(1), $NOTIFY_SOCKET)."""
        deadline = time.monotonic() + BOOT_TIMEOUT
        self._leader = 0
        while True:
            left = max(0.0, deadline - time.monotonic())
            notify = self._notify.fileno()
            readable = select.select([notify, self._pidfd], [], [], left)[0]
            if notify not in readable:
                why = "systemd-nspawn ended" if readable else f"it is not up after {BOOT_TIMEOUT:.0f} s"
                told = f"cannot boot a machine: {why}; its console:\n{self.console()}"
                raise BootError(told, is_forbidden=bool(readable))
            for line in self._notify.recv(65536).decode().splitlines():
                name, _, value = line.partition("=")
                if name == "X_NSPAWN_LEADER_PID":
                    self._leader = int(value)
                if line == "READY=1" and self._leader:
                    return

    def console(self) -> str:
        """The last lines that appeared on the machine's console."""
        text = (Path(self._folder.name) / "console").read_text(errors="replace")
        return "\n".join(text.splitlines()[-30:])

    def command(self, argv: Sequence[str], folder: str = "/root") -> tuple[str, ...]:
        """What to run here so that `argv` runs inside."""
        return (
            *("nsenter", "--target", str(self._leader), "--all"),
            *ENVIRONMENT,
            *("sh", "-c", 'cd "$0" && exec "$@"', folder, *argv),
        )

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command inside, as root, with pipes to its standard streams. It ends with the machine."""
        process = subprocess.Popen(
            self.command(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(
        self, *argv: str, check: bool = True, given: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root, to its end. `check`: it has to succeed, or its output is shown."""
        done = subprocess.run(
            self.command(argv),
            check=False,
            input=given,
            capture_output=True,
            timeout=timeout,
        )
        told = subprocess.CompletedProcess(
            argv, done.returncode, done.stdout.decode(), done.stderr.decode(errors="replace")
        )
        if check and told.returncode:
            raise AssertionError(
                f"inside, {shlex.join(argv)} exited {told.returncode}:\n{told.stdout}{told.stderr}"
            )
        return told

    def sh(self, script: str, check: bool = True) -> str:
        """Run a shell script inside; returns what it printed."""
        return self.run("sh", "-euc", script, check=check).stdout

    def systemctl(self, *argv: str, check: bool = True) -> str:
        """Run systemctl inside; returns what it printed."""
        return self.run("systemctl", "--no-pager", *argv, check=check).stdout

    def show(self, unit: str, key: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", "--property", key, "--value", unit).strip()

    def journal(self, *argv: str) -> str:
        """The messages that journalctl finds, one a line."""
        # What was sent to journald before is in the journal after this.
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--quiet", "--output=cat", *argv).stdout

    def read(self, path: str) -> str:
        """A file of the machine."""
        return self.run("cat", path).stdout

    def write(self, path: str, text: str) -> None:
        """Make or replace a file of the machine, and the folder that it is in."""
        self.run("sh", "-c", 'mkdir -p "${0%/*}" && cat >"$0"', path, given=text.encode())

    def push(self, source: Path, target: str, exclude: Sequence[str] = ()) -> None:
        """Copy a file, or a folder without the names in `exclude`, to the path `target` inside."""

        def chosen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            return None if Path(member.name).name in exclude else member

        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(source, arcname=target.lstrip("/"), filter=chosen)
        self.run("tar", "-C", "/", "-xf", "-", given=archive.getvalue())

    def reboot(self) -> None:
        """Reboot it as its administrator does, and wait until it is up again."""
        # systemctl is ended by the reboot that it asks for, or not; both are fine.
        self.systemctl("reboot", check=False)
        self._until_up()

    def power_off(self) -> None:
        """Shut it down in order, and wait for its end: for changes that shall be kept."""
        self.systemctl("poweroff", check=False)
        if self._nspawn.wait(BOOT_TIMEOUT):
            raise AssertionError(f"the machine did not power off well; its console:\n{self.console()}")

    def down(self) -> None:
        """Cut its power."""
        self._guard.communicate()
        self._nspawn.wait()
        until_empty(self._cgroup)
        for each in sorted(self._cgroup.glob("**/"), reverse=True):
            each.rmdir()
        for client in self._started:
            client.communicate()
        os.close(self._pidfd)
        self._notify.close()
        self._folder.cleanup()
