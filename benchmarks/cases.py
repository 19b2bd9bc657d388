"""The crashes of the kill matrix: who is hit, by what, and what is asked for meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.census import Census, Process

NO_DATABASE, DATABASE, CACHE = "/", "/db", "/cache"
LONG_REQUEST_MS = 8000


@dataclass(frozen=True)
class Case:
    """One kind of crash.

    `number`: the signal. `pages`: what the load asks for in turn; both have to be there again. `answer`:
    the server whose own answer is timed too, `bare`: beside the start of one by hand. `ports`: servers
    whose port a second load connects to.
    `long_request`: each worker has one thread, and one of them works on a request of eight seconds.
    """

    name: str
    title: str
    victims: Callable[[Census], Iterable[Process | None]]
    number: signal.Signals = signal.SIGKILL
    pages: tuple[str, ...] = (NO_DATABASE, DATABASE)
    answer: str = ""
    bare: bool = False
    ports: tuple[str, ...] = ()
    long_request: bool = False


def mains(*roles: str) -> Callable[[Census], Iterable[Process | None]]:
    """The main processes of these servers."""
    return lambda census: [census.main(role) for role in roles]


def one_worker(role: str) -> Callable[[Census], Iterable[Process | None]]:
    """The first worker of a server."""
    return lambda census: census.workers(role)[:1]


CASES = (
    Case("nginx-master", "nginx master", mains("nginx")),
    Case("nginx-worker", "one nginx worker", one_worker("nginx")),
    Case("nginx-workers", "all nginx workers", lambda census: census.workers("nginx")),
    Case("uwsgi-master", "uWSGI master", mains("uwsgi")),
    Case("uwsgi-worker", "one uWSGI worker", one_worker("uwsgi")),
    Case("uwsgi-and-nginx", "uWSGI and nginx masters together", mains("uwsgi", "nginx")),
    Case("redis", "redis-server", mains("redis"), pages=(NO_DATABASE, CACHE), answer="redis", bare=True),
    Case("mysqld", "mariadbd", mains("mysqld"), answer="mysqld", ports=("mysqld",)),
    Case(
        "uwsgi-busy", "uWSGI master, a request of 8 s on its only thread", mains("uwsgi"), long_request=True
    ),
    Case("stop-nginx", "SIGSTOP of the nginx master", mains("nginx"), signal.SIGSTOP),
    Case("stop-uwsgi", "SIGSTOP of the uWSGI master", mains("uwsgi"), signal.SIGSTOP),
    Case("stop-redis", "SIGSTOP of redis-server", mains("redis"), signal.SIGSTOP, (NO_DATABASE, CACHE)),
    Case("stop-mysqld", "SIGSTOP of mariadbd", mains("mysqld"), signal.SIGSTOP),
)
