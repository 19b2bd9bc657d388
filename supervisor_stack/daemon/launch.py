"""From a service's specification to the process: environment, identity, limits, output."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from supervisor_stack.daemon.process import NO_INTERPRETER
from supervisor_stack.errors import SpawnError
from supervisor_stack.spec import ServiceSpec

# What systemd, nginx and uWSGI read from the environment to take over sockets or to answer their
# parent: meant for stackd or for another process, never for a service of ours.
_NOT_INHERITED = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NGINX",
)
_NOT_INHERITED_PREFIXES = ("UWSGI_", "STACKD_")

LONGEST_INTERPRETER = 256
"""Bytes of the first line of a script that the kernel reads, execve(2)."""


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What services get of stackd's own environment."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _NOT_INHERITED and not name.startswith(_NOT_INHERITED_PREFIXES)
    }


def environment(
    spec: ServiceSpec, inherited: Mapping[str, str], marks: Mapping[str, str], notify: str
) -> dict[str, str]:
    """The environment of a run. `marks`: whose it is; `notify`: the path of its notify socket, or empty."""
    env = dict(inherited)
    if spec.user:
        identity(spec)  # or the next line says less
        user = pwd.getpwnam(spec.user)
        env |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
    if notify:
        env["NOTIFY_SOCKET"] = notify
    if spec.parent_variable:
        env[spec.parent_variable] = str(os.getpid())
    return {**env, **spec.env, **marks}


def check_program(program: str, env: Mapping[str, str], cwd: str) -> None:
    """Say that a program is not there, or its interpreter. Raises SpawnError.

    Without this a program in front of it would say so: with less, and after the run has begun.
    """
    path = os.path.join(cwd, program) if "/" in program else shutil.which(program, path=env.get("PATH"))
    try:
        with open(path or "", "rb") as file:
            line = file.readline(LONGEST_INTERPRETER)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SpawnError(f"cannot execute {program}: {error.strerror}") from error
    except OSError:
        return  # execve(2) has more rights than we have, or says what it lacks
    interpreter = line.removeprefix(b"#!").split()
    if (
        line.startswith(b"#!")
        and interpreter
        and not os.path.exists(os.path.join(os.fsencode(cwd), interpreter[0]))
    ):
        raise SpawnError(f"cannot execute {program}: {NO_INTERPRETER}")


class Identity(NamedTuple):
    """Numeric user and groups of a service, as subprocess.Popen takes them; None: unchanged."""

    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None


def identity(spec: ServiceSpec) -> Identity:
    """Whom the service runs as. Raises SpawnError for names that the system has forgotten."""
    try:
        group = grp.getgrnam(spec.group).gr_gid if spec.group else None
        user = pwd.getpwnam(spec.user) if spec.user else None
    except KeyError:
        raise SpawnError(f"cannot run as {spec.user or spec.group}: no such user or group") from None
    if user is None:
        return Identity(group=group)
    if os.geteuid() != 0 and user.pw_uid == os.geteuid():
        return Identity()  # it is us already, and who is not root may not even say so (setgroups(2))
    return Identity(
        user.pw_uid, user.pw_gid if group is None else group, os.getgrouplist(spec.user, user.pw_gid)
    )


def chain(spec: ServiceSpec, nofile: str = "") -> tuple[str, ...]:
    """Programs that set what has to be set between fork and exec, and then become the service.

    Popen's preexec_fn would run Python in a forked child of a process with threads. Its `user` works,
    but costs the vfork: copying the page tables of stackd takes 2 to 5 ms, in which the loop stands
    still. These tools are of util-linux and coreutils, on every Debian. setpriv comes last: the others
    may need root.

    `nofile`: the limit of descriptors of a service that has none of its own, as SOFT:HARD; empty: as ours.
    """
    words: list[str] = []
    if spec.limits or nofile:
        words.append("prlimit")
        if nofile and "nofile" not in spec.limits:
            words.append(f"--nofile={nofile}")
        words += [
            f"--{name}={'unlimited' if value < 0 else value}" for name, value in sorted(spec.limits.items())
        ]
    if spec.oom_score_adj is not None:
        words += ["choom", "-n", str(spec.oom_score_adj), "--"]
    if spec.nice is not None:
        # nice(1) adds to what it inherits; what is configured is meant as it stands.
        words += ["nice", "-n", str(spec.nice - os.getpriority(os.PRIO_PROCESS, 0))]
    who = identity(spec)
    if who != Identity():
        words += ["setpriv", f"--regid={who.group}"]
        words += [f"--reuid={who.user}", "--init-groups"] if who.user is not None else ["--keep-groups"]
        words.append("--")
    return tuple(words)
