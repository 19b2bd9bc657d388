"""What each run of uWSGI has of its own, and whether two of them can live beside each other."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from supervisor_stack.kinds.base import Given
from supervisor_stack.kinds.uwsgi_ini import Options
from supervisor_stack.kinds.uwsgi_sockets import OPTIONS, OTHER_ROOT, Socket
from supervisor_stack.spec import Fifo, PrivateSocket

_USER = ("uid", "immediate-uid")

# bind_to_unix(): "invalid socket name".
_LONGEST_SOCKET = 102
_LONGEST_RUN = "999999"

# What a second instance would not get, and would end or go without: an address of its own.
_OWN_ADDRESS = (
    "https2", "http-subscription-server", "fastrouter", "fastrouter-subscription-server", "rawrouter",
    "rawrouter-subscription-server", "sslrouter", "sslrouter2", "sslrouter-subscription-server",
    "forkptyrouter", "forkpty-router", "pty-socket", "udp", "snmp", "cache-udp-server", "zerg-server",
    "emperor",
)  # fmt: skip
# What it would write into without a lock, as its locks are its own: a file that is shared memory.
_OWN_FILE = ("cache-store", "queue-store")
# What it would do once more: programs beside the application, and jobs. That cron of the application itself
# (uwsgidecorators) and its mules do so too cannot be seen here.
_DONE_ONCE = ("attach-", "cron", "legion")

_STATS = ("stats", "stats-server")


def fifo(given: Given, options: Options) -> Fifo | None:
    """The pipe by which uWSGI is asked to finish its requests and leave; no signal does that.

    It reads the first that is configured (uwsgi_fifo_by_slot()), so where there is one no other can be
    added. None where uWSGI could not make it, at which it would exit.
    """
    if options.may_hide(*_USER, *OTHER_ROOT, "master-fifo") or options.values(*OTHER_ROOT):
        return None
    if own := options.values("master-fifo"):
        if len(own) > 1:
            return None  # orders within it choose which one it reads
        # Made in the master's loop, after chdir().
        path = posixpath.join(given.cwd, options.last("chdir"), own[0])
        return Fifo(path=path, stop=_STOP, remind="HUP")
    return Fifo(
        path=posixpath.join(_folder(given), "{run}.fifo"),
        option="--master-fifo",
        # Made after setuid().
        user=(options.last("immediate-uid") or options.last("uid")) if given.as_root else given.user,
        stop=_STOP,
        remind="HUP",
    )


# uWSGI reads an order at each turn of its loop, between which it may sleep for a second. The end of the
# line is no order, and gives it the turn in which it sees that its workers are gone (2.0.30: a stop
# takes 20 ms with it and 1020 ms without).
_STOP = "q\n"


def can_live_beside(options: Options, sockets: Sequence[Socket], pipe: Fifo | None) -> bool:
    """Whether another run of the same configuration can start and serve while one still serves."""
    if not pipe or not pipe.option:
        return False  # both would make the same pipe, the second one in place of the first
    if not sockets or not all(each.is_taken_over and not each.router for each in sockets):
        return False
    if options.may_hide(*OPTIONS, *_STATS, "cache2"):
        return False
    if any("store=" in value for value in options.values("cache2")):
        return False
    return not any(map(_is_for_one, options.hidden.union(key for key, _ in options)))


def _is_for_one(key: str) -> bool:
    return key in _OWN_ADDRESS or key in _OWN_FILE or any(word in key for word in _DONE_ONCE)


def private_socket(given: Given) -> PrivateSocket | None:
    """Where one run can be asked by itself: at the sockets that are held any run may answer.

    None where its path would be too long for uWSGI.
    """
    path = posixpath.join(_folder(given), "{run}.sock")
    longest = path.replace("{run}", _LONGEST_RUN).encode(errors="surrogateescape")
    if len(longest) > _LONGEST_SOCKET:
        return None
    return PrivateSocket(path=path, option="--uwsgi-socket", speaks="uwsgi")


def beside(options: Options) -> Iterator[str]:
    """Arguments without which a run could not live beside another one."""
    stats = options.last(*_STATS)
    if ":" in stats:
        # The stats server cannot take a socket over, and on an address in use the instance exits 1; also
        # when just a busy worker of a killed master has it. The other sockets are held: this is for it alone.
        yield "--reuse-port"
    elif stats and options.is_on("vacuum"):
        # A second instance replaces its file, and vacuum() of the first removes that. There is nothing else
        # for it to do: sockets that were taken over stay ("changed inode"), pid files are not written.
        yield from ("--set", "vacuum=false")


def _folder(given: Given) -> str:
    return posixpath.join(given.runtime_dir, "runs", given.name)
