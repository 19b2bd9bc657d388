"""MariaDB and MySQL: what stackd knows of them. Tried with MariaDB 10.11.

Which of the two a binary is cannot be told from its name, as Debian links mysqld to mariadbd: what is
done here suits both.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from supervisor_stack.kinds.alive import alive
from supervisor_stack.kinds.base import Facts, Given, Kind
from supervisor_stack.kinds.listen import can_be_held, tcp
from supervisor_stack.kinds.my_cnf import CnfReader
from supervisor_stack.spec import Address, Check, Hold, Precondition, ProbeSpec

_PORT = 3306

# MariaDB takes over sockets since 10.6, by sd_listen_fds_with_names(3) (sql/mysqld.cc), where it was built
# with libsystemd. MySQL uses of that library sd_notify(3) alone.
_TAKES_OVER = "sd_listen_fds"
_CANNOT_TAKE_OVER = (
    "this server cannot take over a socket (MariaDB can since 10.6, if built with libsystemd, MySQL cannot)"
)

# MariaDB: "2026-11-22  8:26:26 0 [ERROR] ..."; MySQL 8: "2026-11-22T08:26:26.123456Z 0 [ERROR] ...".
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T] ?\d{1,2}:\d\d:\d\d(?:\.\d+)?\S* \d+ ")


def learn(given: Given) -> Facts:
    """How to run the server, where it listens, and whether its data directory is there."""
    conf = CnfReader(given.files, given.cwd)
    conf.read_file(given.config)
    conf.read_arguments(given.args)
    # --defaults-file has to be the first: the server knows it nowhere else.
    argv = (given.binary, f"--defaults-file={given.config}", *given.args)
    unix, ports = tuple(_unix_socket(conf)), tuple(_ports(conf))
    can_take_over = given.files.imports(given.binary, _TAKES_OVER)
    if given.hold and can_take_over:
        # A server that is given sockets opens no other (network_init()), so these are all.
        unix = tuple(address for address in given.hold if address.path)
        ports = tuple(address for address in given.hold if not address.path)
    left_out = [each for each in (*_unix_socket(conf), *_ports(conf)) if each not in (*unix, *ports)]
    ready = _probe((*unix, *ports))
    return Facts(
        argv=(*argv, *_foreground(conf)),
        addresses=(*ports, *unix),
        ready=ready,
        # Nothing can be asked without an account that leaves no trace (protocols/mysql.py). It need not
        # be: a server that waits for a lock or a full disk would only wait again, after a recovery, and
        # of what InnoDB itself takes for a hang it dies (innodb_fatal_semaphore_wait_threshold).
        alive=alive("process"),
        hold=_hold(given, conf, (*ports, *unix)) if can_take_over else None,
        no_hold="" if can_take_over else _CANNOT_TAKE_OVER,
        check=Check(
            # Reads the files, sets every variable, and stops there: it binds nothing, leaves the data
            # alone and works beside a running server. MySQL's --validate-config does more, but MariaDB
            # does not have it.
            argv=(*argv, "--help", "--verbose"),
            evidence=complaints,
        ),
        preconditions=tuple(_initialised(given, conf)),
        logs=tuple(_logs(conf)),
        access_logs=tuple(dict.fromkeys(_access_logs(conf))),
        problems=(*conf.problems, *_problems(given, conf, ready), *map(_left_out, left_out)),
    )


def _left_out(address: Address) -> str:
    return f"hold leaves out {address}, and a MariaDB that is given sockets opens no other; add it to hold"


def complaints(stderr: str) -> tuple[str, ...]:
    """What a test of the configuration has against it, without times and warnings."""
    lines = [_STAMP.sub("", line) for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("[ERROR]") and not line.endswith("Aborting")]
    # What is wrong with a file itself is told before there is a log, without a level.
    return tuple(errors or [line for line in lines if not line.startswith(("[Warning]", "[Note]"))])


def _foreground(conf: CnfReader) -> Iterator[str]:
    """`daemonize` is MySQL's alone (5.7.6); behind it, because the last one wins."""
    if "daemonize" in conf:
        yield "--loose-daemonize=OFF"


def _unix_socket(conf: CnfReader) -> Iterator[Address]:
    """Only where the configuration names one: the default is compiled in, and each package has its own."""
    # Bound after chdir() to the data directory; MariaDB takes a name with @ for an abstract one (unix(7)).
    path = conf.value("socket")
    if path and not path.startswith("@") and (absolute := _in_datadir(conf, path)):
        yield Address(path=absolute)


def _ports(conf: CnfReader) -> Iterator[Address]:
    port = conf.value("port", str(_PORT))
    if conf.is_on("skip-networking") or not port.isdecimal():
        return
    # A list since MySQL 8.0.13 and MariaDB 10.11; MySQL takes ADDRESS/NAMESPACE.
    for host in conf.value("bind-address", "*").split(","):
        address = tcp(host.strip().partition("/")[0], int(port) or _PORT)
        yield address
        if host.strip() == "*":
            # MariaDB 10.11 opens two sockets, with IPV6_V6ONLY; MySQL one for both.
            yield tcp("::", address.port)


def _hold(given: Given, conf: CnfReader, addresses: tuple[Address, ...]) -> Hold | None:
    """All sockets or none: what it is not given it does not open."""
    if given.hold == () or (given.hold is None and not _is_all(conf, addresses)):
        return None
    return Hold(
        lend="systemd",
        addresses=addresses,
        # Bound with a umask of 0, and after it has changed to its `user`, which only root can.
        mode=0o777,
        user=conf.value("user") if given.as_root else given.user,
        group="" if given.as_root else given.group,
        # As it does itself, so that it starts before its network is up (activate_tcp_port(); tried).
        free_bind=True,
    )


def _is_all(conf: CnfReader, addresses: tuple[Address, ...]) -> bool:
    """Whether these are all sockets that the server would open, each known in full."""
    has_path = any(address.path for address in addresses)
    is_unix_known = has_path or ("socket" in conf and not conf.value("socket"))
    return is_unix_known and not conf.is_on("extra-port") and all(map(can_be_held, addresses))


def _probe(addresses: tuple[Address, ...]) -> ProbeSpec | None:
    """The greeting, for which no account is needed; at the unix socket, as that cannot be filtered."""
    return ProbeSpec(type="mysql", address=addresses[0]) if addresses else None


def _initialised(given: Given, conf: CnfReader) -> Iterator[Precondition]:
    """The folder of the system tables, which is there once the data directory has been initialised."""
    datadir = conf.value("datadir")
    if datadir.startswith("/"):
        yield Precondition(
            path=posixpath.join(datadir, "mysql"),
            problem=f"the data directory {datadir} has not been initialised; "
            f"run: {_initialise(given, conf.value('user') or given.user)}",
        )


def _initialise(given: Given, user: str) -> str:
    as_user = f" --user={user}" if user else ""
    # MariaDB installs its server as mariadbd, with or without mysqld as another name beside it.
    if given.files.glob(posixpath.join(posixpath.dirname(given.binary), "mariadbd")):
        return f"mariadb-install-db --defaults-file={given.config}{as_user}"
    # With a root account without a password, instead of a random one that has to be found in the log.
    return f"{given.binary} --defaults-file={given.config} --initialize-insecure{as_user}"


def _logs(conf: CnfReader) -> Iterator[str]:
    """Without `log-error` it is stderr; `log-error` without a value is a name made of the host's."""
    path = conf.value("log-error")
    if not path or path == "stderr" or path.startswith("/dev/"):
        return
    named = path if posixpath.splitext(path)[1] else f"{path}.err"
    if absolute := _in_datadir(conf, named):
        yield absolute


def _access_logs(conf: CnfReader) -> Iterator[str]:
    """Statements of clients: all of them, and those that take long."""
    # A file that is not named is named after the host, as log-error without a value. `log-output` is a list
    # of FILE, TABLE and NONE.
    if "FILE" not in conf.value("log-output", "FILE").upper().split(","):
        return
    for switch, names in (
        ("general-log", ("general-log-file",)),
        # MariaDB calls them log-slow-query and log-slow-query-file as well, since 10.11.
        ("slow-query-log", ("slow-query-log-file", "log-slow-query-file")),
        ("log-slow-query", ("slow-query-log-file", "log-slow-query-file")),
    ):
        path = next(filter(None, map(conf.value, names)), "")
        if conf.is_on(switch) and path and (absolute := _in_datadir(conf, path)):
            yield absolute


def _in_datadir(conf: CnfReader, path: str) -> str:
    """An absolute path, or nothing where the data directory is the one that is compiled in."""
    absolute = posixpath.join(conf.value("datadir"), path)
    return absolute if absolute.startswith("/") else ""


def _problems(given: Given, conf: CnfReader, ready: ProbeSpec | None) -> Iterator[str]:
    if given.as_root and not conf.value("user"):
        yield 'the server refuses to run as root; write user = "mysql" into this table'
    if not conf.value("port", str(_PORT)).isdecimal():
        yield f"port is {conf.value('port')!r}, which is no port; write {_PORT}, say"
    elif ready is None and not given.has_ready and not conf.problems:
        yield (
            f"skip-networking is set in {given.config} and no socket is named, so where the server can be "
            "asked is unknown; write socket = /PATH into its group [mysqld]"
        )


KIND = Kind(
    name="mysqld",
    copy="mysqld",
    binaries=("mariadbd", "mysqld"),
    learn=learn,
    stop_signal="TERM",
    # MariaDB 10.11.19 that gets SIGTERM while it starts may wait for itself in init_slave() for ever, deaf to
    # every further signal but SIGKILL (tried: 2 of 12 at 10 to 500 ms, 5 of 12 right after it listens).
    stop_when_ready=True,
    # Writes its dirty pages, rolls back what is open. Killed, it has to recover, which takes longer:
    # the unit of MariaDB waits 900 s and has SendSIGKILL=no.
    stop_timeout=900.0,
    kill=False,
    # It tells how far a recovery, a rollback or a shutdown is, and asks for more time meanwhile
    # (EXTEND_TIMEOUT_USEC of sd_notify(3): service_manager_extend_timeout() in MariaDB).
    notify=True,
    # Recovery after a crash may take long and starts over when it is killed: TimeoutStartSec of that unit.
    start_timeout=900.0,
    # SIGHUP only flushes logs, hosts and privileges (mysqld(8)).
    no_reload="the server reads its option files only when it starts; restart it, or use SET GLOBAL",
    # EXIT_* of include/mysys_err.h: an option that cannot be understood, seen with 10.11 (but for 6).
    # 1 is not final: it stands for everything else, an address that is still held and a full disk too.
    final_exits={
        2: "its configuration has an unknown option",
        3: "its configuration has an ambiguous option",
        4: "its configuration gives a value to an option that takes none",
        5: "its configuration has an option that lacks its value",
        6: "its configuration has a prefix that fits several variables",
        7: "its configuration has an unknown variable",
        9: "its configuration has a number with an unknown suffix",
        13: "its configuration has an invalid value",
    },
    # MYSQLD_RESTART_EXIT of MySQL 8: what it leaves with for the statement RESTART, which it refuses when
    # the variable is not the number of its parent (is_mysqld_managed() in sql_restart_server.cc). MariaDB
    # has neither.
    parent_variable="MYSQLD_PARENT_PID",
    wish_exits={16: "the SQL statement RESTART"},
)
