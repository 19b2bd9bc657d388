"""How a run takes over the sockets that are held for its service: by environment, descriptors, arguments."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from supervisor_stack.spec import Address, Hold

LISTEN_FDS_START = 3
"""sd_listen_fds(3): the first one that a service looks at."""


class Loan(NamedTuple):
    """What a run gets: variables, descriptors that keep their numbers, and the words before its command.

    The words belong behind all others that only set something and become what follows them.
    """

    env: Mapping[str, str] = {}
    fds: tuple[int, ...] = ()
    argv: tuple[str, ...] = ()


def lend(hold: Hold, sockets: Mapping[Address, int]) -> Loan:
    """The loan of these sockets, in the way that the server understands."""
    fds = tuple(sockets.values())
    if not fds:
        return Loan()
    if hold.lend == "nginx":
        # ngx_add_inherited_sockets(): each number ends with a semicolon, the last one too.
        return Loan({"NGINX": "".join(f"{fd};" for fd in fds)}, fds)
    if hold.lend == "systemd":
        names = ":".join(map(_name, sockets))
        return Loan({"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}, fds, _at_fixed_numbers(fds))
    return Loan(fds=fds)


def _at_fixed_numbers(fds: Iterable[int]) -> tuple[str, ...]:
    """A program that moves the descriptors to 3 and up, and tells the service its own pid.

    Nobody knows that pid before the fork, and exec keeps it. bash: the redirections of a POSIX shell
    end at descriptor 9 (dash: "Bad fd number"). -p: no BASH_ENV, no functions from the environment.
    """
    moves = " ".join(f"{number}<&{fd}-" for number, fd in enumerate(fds, LISTEN_FDS_START))
    return ("/bin/bash", "-p", "-c", f'exec {moves}; export LISTEN_PID=$$; exec "$@"', "bash")


def _name(address: Address) -> str:
    """A name for LISTEN_FDNAMES: no colon, as that separates them, and none that means anything.

    MariaDB takes the one named `extra` for its extra_port.
    """
    if not address.path:
        return f"tcp-{address.port}"
    name = posixpath.basename(address.path).replace(":", "_")
    return f"unix-{name}" if name.isprintable() else "unix"
