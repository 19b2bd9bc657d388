"""What a service's user may do in the file system, and no more, where stackd does it for the service.

The folder may belong to that user, who can put anything there at any time, also a link to what is root's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from supervisor_stack.daemon.launch import Identity


@contextlib.contextmanager
def rights_of(who: Identity) -> Iterator[None]:
    """Look at files as this user, who is not us (setfsuid(2)); sockets and descriptors are as ever."""
    if who.user is None or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None)
    groups = os.getgroups()
    try:
        os.setgroups(who.groups or [])
        libc.setfsgid(os.getegid() if who.group is None else who.group)
        libc.setfsuid(who.user)
        yield
    finally:
        libc.setfsuid(0)
        libc.setfsgid(os.getegid())
        os.setgroups(groups)
