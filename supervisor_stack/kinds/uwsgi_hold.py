"""Which sockets stackd holds for uWSGI, made as uWSGI itself would have made them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from supervisor_stack.kinds.base import Given
from supervisor_stack.kinds.uwsgi_ini import Options
from supervisor_stack.kinds.uwsgi_sockets import OTHER_ROOT, Socket
from supervisor_stack.spec import Address, Hold

# Set on each socket that uWSGI binds, and on no other (bind_to_tcp(), create_server_socket()).
_TUNING = (
    "reuse-port", "tcp-fast-open", "tcp-fastopen", "so-keepalive", "socket-sndbuf", "socket-rcvbuf",
    "so-send-timeout", "socket-send-timeout", "so-write-timeout", "socket-write-timeout",
)  # fmt: skip

# Seconds: what TCP_DEFER_ACCEPT is set to without `socket-timeout` (uwsgi_init_default()).
_SOCKET_TIMEOUT = "4"


class Holding(NamedTuple):
    """What is held, or why nothing is, and what is wrong with the wish to hold."""

    hold: Hold | None
    reason: str = ""
    problems: tuple[str, ...] = ()


def holding(given: Given, options: Options, sockets: Sequence[Socket], *, handover: bool) -> Holding:
    """The sockets to hold: those that uWSGI takes over, or of these the ones that the user wants.

    `handover`: whether another run can begin beside one, once all sockets are held.
    """
    reason = _refusal(options)
    lent = [] if reason else [each.address for each in sockets if each.is_taken_over and each.address]
    could_be = lent
    if given.hold is not None:
        wanted = {_plain(address) for address in given.hold}
        lent = [address for address in lent if _plain(address) in wanted]
    addresses = tuple(dict.fromkeys(lent))
    handover = handover and all(each.address in addresses for each in sockets)
    hold = _hold(given, options, addresses, handover=handover) if addresses else None
    if not reason and not addresses:
        reason = _none_of(given, could_be)
    return Holding(hold, reason, tuple(_problems(given, sockets, addresses)))


def _none_of(given: Given, could_be: Sequence[Address]) -> str:
    """Why no socket is held. `could_be`: those that the user could have wished."""
    if could_be:
        return f"{given.config} makes uWSGI listen at {', '.join(map(str, could_be))} and not there"
    return f"no socket in {given.config} is written so that uWSGI finds it among those that it is lent"


def as_wished(given: Given) -> Holding:
    """For a configuration that cannot be read here."""
    if not given.hold:
        return Holding(None)
    return Holding(
        Hold(
            lend="address",
            addresses=given.hold,
            mode=0o777 & ~given.umask,
            user=given.user,
            group=given.group,
        )
    )


def _refusal(options: Options) -> str:
    """Why no socket can be held for this instance."""
    if options.is_on("shutdown-sockets"):
        # shutdown(2) of a listening socket is for all who have it (tried: it listens no more).
        return "shutdown-sockets ends a socket for everybody who has it, when a worker leaves"
    if key := next((key for key in OTHER_ROOT if options.values(key)), ""):
        return f"{key} is set, so uWSGI binds its sockets below another root"
    if options.is_on("abstract-socket"):
        return "abstract-socket is on, so no path is the path of a file"
    if key := next((key for key in _TUNING if options.values(key)), ""):
        return f"{key} is only set on sockets that uWSGI binds itself"
    return ""


def _hold(given: Given, options: Options, addresses: tuple[Address, ...], *, handover: bool) -> Hold:
    user, group = _owner(given, options)
    timeout = options.last("socket-timeout") or _SOCKET_TIMEOUT
    return Hold(
        lend="address",
        addresses=addresses,
        handover=handover,
        # Nothing: a worker learns by itself that its master has gone, and leaves after its request
        # (uwsgi_receive_signal()). With `threads` an idle thread ends the whole worker.
        retire_signal="",
        mode=_mode(given, options),
        user=user,
        group=group,
        free_bind=options.is_on("freebind"),
        defer_accept=0 if options.is_on("no-defer-accept") or not timeout.isdecimal() else int(timeout),
    )


def _mode(given: Given, options: Options) -> int:
    """The mode of a unix socket's file: bind_to_unix(), uwsgi_opt_chmod_socket()."""
    chmod, umask = options.last("chmod-socket", "chmod"), options.last("umask")
    if chmod:
        return int(chmod, 8) if len(chmod) == 3 and _is_octal(chmod) else 0o666
    return 0o777 & ~(int(umask, 8) if _is_octal(umask) else given.umask)


def _is_octal(text: str) -> bool:
    return text.isdecimal() and not set(text) & set("89")


def _owner(given: Given, options: Options) -> tuple[str, str]:
    """User and group of a unix socket's file; empty: whom stackd runs as.

    With `chown-socket`, or when it drops its rights later, uWSGI binds as root (uwsgi_start()).
    """
    if chown := options.last("chown-socket"):
        user, _, group = chown.partition(":")
        return user, group or ("root" if given.as_root else given.group)
    if not given.as_root:
        return given.user, given.group
    late = ("master-as-root", "drop-after-init", "drop-after-apps")
    if any(map(options.is_on, late)) and not options.last("immediate-uid"):
        return "", ""
    user = options.last("immediate-uid") or options.last("uid")
    return user, (options.last("immediate-gid") or options.last("gid") or "root") if user else ""


def _problems(given: Given, sockets: Sequence[Socket], held: tuple[Address, ...]) -> Iterator[str]:
    for wanted in given.hold or ():
        if held and _plain(wanted) not in map(_plain, held):
            can = ", ".join(dict.fromkeys(str(each.address) for each in sockets if each.is_taken_over))
            yield f"hold names {wanted}, which uWSGI does not take over; it does so for {can}"
    for name in dict.fromkeys(each.name for each in sockets if each.shared and each.address not in held):
        # uwsgi_setup_shared_sockets() in 2.0.30; tried: it runs, and listens nowhere.
        yield (
            f"shared-socket {name} has to be held by stackd, as uWSGI binds none at a reload, which is what "
            "its start looks like here; write an IPv4 address with a port, and no hold that leaves it out"
        )


def _plain(address: Address) -> tuple[str, int, str]:
    """What an address is, however it is spelt."""
    return address.host, address.port, posixpath.normpath(address.path) if address.path else ""
