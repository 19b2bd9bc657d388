"""Any other program: nothing is known of it but what stackd.toml says."""

from __future__ import annotations

from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.listen import tcp
from supervisor_stack.spec import Address, Hold


def learn(given: Given) -> Facts:
    """The program with its arguments, which has no configuration file that could be read."""
    # As a socket of systemd does by default, and what most programs make themselves of [::].
    addresses = tuple(
        tcp(each.host, each.port, dual=True) if each.host == "::" else each for each in given.hold or ()
    )
    return Facts(argv=(given.binary, *given.args), addresses=addresses, hold=_hold(given, addresses))


def _hold(given: Given, addresses: tuple[Address, ...]) -> Hold | None:
    """In the way of systemd, which gunicorn, uvicorn, node and Go programs understand, among others.

    Nothing is known of two of them at once, so there is no handing over.
    """
    if not addresses:
        return None
    # SocketMode= of systemd.socket(5): who may connect is up to the folder.
    return Hold(lend="systemd", addresses=addresses, mode=0o666, user=given.user, group=given.group)


KIND = Kind(
    name="command",
    binaries=(),
    learn=learn,
    no_reload="it has no reload_signal",
    needs_config=False,
)
