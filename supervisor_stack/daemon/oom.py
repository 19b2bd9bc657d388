"""Whether the kernel killed a process for want of memory.

A process that the kernel kills ends by SIGKILL like any other; only the kernel's counter and its log
tell. It must never be said of a process that somebody else killed, so the number of a process in the
log counts for no more than the kills since that process began.
"""

from __future__ import annotations

import ctypes
import os
import re
from typing import Final, NamedTuple

# syslog(2): all messages that are there, or as many of the last ones as fit. A kill is told with a table
# of all processes, up to 100 bytes for each of them.
SYSLOG_ACTION_READ_ALL: Final = 3
LOG_SIZE: Final = 256 * 1024

# PROC_PID_INIT_INO of include/linux/proc_ns.h: the inode of the first pid namespace, whose numbers the
# log tells. In a container the same process has another number.
FIRST_NAMESPACE: Final = 0xEFFFFFFC

# __oom_kill_process() in mm/oom_kill.c: "Out of memory: Killed process 7 (redis-server) total-vm:...",
# or "Memory cgroup out of memory: ..."; before Linux 5.1 without these words. With a level in front, and
# by default a time; the name of a process may contain anything, but not so as to begin a line.
_KILL: Final = re.compile(
    rb"^<\d+>(?:\[[^]\n]*\])* ?((?:[A-Za-z ]+: )?Killed process (\d+) \(.*)", re.MULTILINE
)

_COUNTER: Final = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)

_SINCE: Final = "the kernel killed a process for want of memory since this run began"


class Finding(NamedTuple):
    """`words`: what the kernel said of this process, or why it is not known which one it killed."""

    killed: bool = False
    words: str = ""


def kills() -> int:
    """How many processes the kernel has killed for want of memory since the machine was started.

    0 where that is not told: before Linux 4.13, or where /proc shows processes only (subset=pid).
    """
    try:
        with open("/proc/vmstat", "rb") as file:
            found = _COUNTER.search(file.read())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def find(pid: int, before: int) -> Finding:
    """Whether this process, which has ended by SIGKILL, was one of them.

    `before`: what kills() returned when the process began.
    """
    since = kills() - before
    if since <= 0:
        return Finding()
    try:
        if os.stat("/proc/self/ns/pid").st_ino != FIRST_NAMESPACE:
            return Finding(words=f"{_SINCE}; which one, only its log outside of this container tells")
        told = _KILL.findall(_log())[-since:]
    except OSError as error:
        return Finding(words=f"{_SINCE}; which one, its log tells, but cannot be read: {error.strerror}")
    for words, number in reversed(told):
        if int(number) == pid:
            return Finding(killed=True, words=words.decode(errors="replace"))
    return Finding() if len(told) == since else Finding(words=f"{_SINCE}; its log does not tell which one")


def _log() -> bytes:
    """The end of the kernel's log. Raises OSError: mostly only root may read it (dmesg_restrict)."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(LOG_SIZE)
    size = libc.klogctl(SYSLOG_ACTION_READ_ALL, buffer, LOG_SIZE)
    if size < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw[:size]
