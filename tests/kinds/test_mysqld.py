"""How MariaDB and MySQL are run, where they listen and what has to be there."""

from __future__ import annotations

import pytest

from supervisor_stack.kinds.base import Facts
from supervisor_stack.kinds.mysqld import complaints, learn
from supervisor_stack.spec import Address, Hold, Precondition, ProbeSpec
from tests.kinds import guide
from tests.kinds.given import given

CNF = "/etc/my.cnf"
MYSQLD = "/usr/sbin/mysqld"
SOCKET = Address(path="/var/lib/mysql/mysql.sock")
ANY = (Address(host="0.0.0.0", port=3306), Address(host="::", port=3306))


def learnt(options: str, *args: str) -> Facts:
    return learn(given(CNF, {CNF: f"[mysqld]\n{options}\n"}, *args, binary=MYSQLD))


def test_the_file_of_the_package_works_as_it_stands() -> None:
    facts = learn(given(CNF, {CNF: guide.MY_CNF}, binary=MYSQLD, user="mysql"))

    assert facts.argv == (MYSQLD, "--defaults-file=/etc/my.cnf")
    assert facts.addresses == (*ANY, SOCKET)
    assert facts.ready == ProbeSpec(type="mysql", address=SOCKET)
    assert facts.logs == ("/var/log/mysqld.log",)
    assert facts.problems == ()


def test_the_check_stops_after_reading_the_configuration() -> None:
    check = learnt("", "--port=1").check

    assert check is not None
    assert check.argv == (MYSQLD, "--defaults-file=/etc/my.cnf", "--port=1", "--help", "--verbose")
    assert not check.before_start


@pytest.mark.parametrize("line", ["daemonize", "daemonize=ON", "loose-daemonize = 1"])
def test_a_server_that_would_daemonize_is_told_not_to(line: str) -> None:
    facts = learnt(line, "--port=1")

    assert facts.argv == (MYSQLD, "--defaults-file=/etc/my.cnf", "--port=1", "--loose-daemonize=OFF")


@pytest.mark.parametrize(
    ("options", "addresses"),
    [
        ("", ["0.0.0.0:3306", "[::]:3306"]),
        ("port=3307", ["0.0.0.0:3307", "[::]:3307"]),
        ("port=0", ["0.0.0.0:3306", "[::]:3306"]),
        ("bind-address=127.0.0.1", ["127.0.0.1:3306"]),
        ("bind_address=*", ["0.0.0.0:3306", "[::]:3306"]),
        ("bind-address=0.0.0.0", ["0.0.0.0:3306"]),
        ("bind-address=::", ["[::]:3306"]),
        ("bind-address=127.0.0.1, ::1", ["127.0.0.1:3306", "[::1]:3306"]),
        ("bind-address=10.0.0.1/blue", ["10.0.0.1:3306"]),
        ("socket=/run/mysqld.sock", ["0.0.0.0:3306", "[::]:3306", "unix:/run/mysqld.sock"]),
        ("socket=my.sock\ndatadir=/data", ["0.0.0.0:3306", "[::]:3306", "unix:/data/my.sock"]),
        ("socket=my.sock", ["0.0.0.0:3306", "[::]:3306"]),
        ("skip-networking\nsocket=/run/mysqld.sock", ["unix:/run/mysqld.sock"]),
        ("skip-networking=0", ["0.0.0.0:3306", "[::]:3306"]),
    ],
)
def test_options_become_addresses(options: str, addresses: list[str]) -> None:
    facts = learnt(options)

    assert [str(address) for address in facts.addresses] == addresses
    assert facts.problems == ()


MARIADB = ("sd_notify", "sd_listen_fds_with_names")
MYSQL = ("sd_notify",)
TCP = Address(host="127.0.0.1", port=3306)


def hold(
    options: str,
    functions: tuple[str, ...] = MARIADB,
    written: tuple[Address, ...] | None = None,
    as_root: bool = False,
) -> Hold | None:
    texts = {CNF: f"[mysqld]\n{options}\n"}
    return learn(
        given(CNF, texts, functions=functions, hold=written, user="" if as_root else "me", as_root=as_root)
    ).hold


def test_all_its_sockets_are_lent_to_a_mariadb_that_takes_them_over() -> None:
    options = "bind-address=127.0.0.1\nsocket=/s"

    assert hold(options) == Hold(
        lend="systemd", addresses=(TCP, Address(path="/s")), mode=0o777, user="me", free_bind=True
    )
    assert hold(options, MYSQL) is None
    assert hold(options, written=()) is None


@pytest.mark.parametrize(
    ("options", "is_held"),
    [
        ("bind-address=127.0.0.1\nsocket=/s", True),
        ("socket=/s", True),
        ("skip-networking\nsocket=/s", True),
        ("socket=", True),
        ("socket=my.sock\ndatadir=/data", True),
        ("extra-port=0\nsocket=/s", True),
        ("bind-address=127.0.0.1", False),
        ("bind-address=db.example.org\nsocket=/s", False),
        ("bind-address=127.0.0.1,localhost\nsocket=/s", False),
        ("socket=@mysql\ndatadir=/data", False),
        ("socket=my.sock", False),
        ("extra-port=3307\nsocket=/s", False),
    ],
)
def test_nothing_is_held_when_not_all_its_sockets_are_known(options: str, is_held: bool) -> None:
    assert (hold(options) is not None) == is_held


def test_what_the_user_names_is_all_that_it_listens_on() -> None:
    named = (Address(path="/run/mysqld.sock"), TCP)
    texts = {CNF: "[mysqld]\nport=3307\n"}

    facts = learn(given(CNF, texts, functions=MARIADB, hold=named))

    assert facts.addresses == (TCP, Address(path="/run/mysqld.sock"))
    assert facts.hold is not None
    assert facts.hold.addresses == facts.addresses
    assert facts.ready == ProbeSpec(type="mysql", address=Address(path="/run/mysqld.sock"))


def test_the_socket_belongs_to_the_user_that_the_server_changes_to() -> None:
    started_by_root = hold("user=mysql\nsocket=/s", as_root=True)
    started_by_me = hold("user=mysql\nsocket=/s")

    assert started_by_root is not None
    assert started_by_root.user == "mysql"
    assert started_by_me is not None
    assert started_by_me.user == "me"


def test_the_unix_socket_is_asked_where_it_is_known() -> None:
    assert learnt("socket=/s").ready == ProbeSpec(type="mysql", address=Address(path="/s"))
    assert learnt("port=1").ready == ProbeSpec(type="mysql", address=Address(host="0.0.0.0", port=1))


@pytest.mark.parametrize(
    ("options", "logs"),
    [
        ("", ()),
        ("log-error", ()),
        ("log-error=stderr", ()),
        ("log-error=/var/log/mysql/error.log", ("/var/log/mysql/error.log",)),
        ("log-error=/var/log/mysql/error", ("/var/log/mysql/error.err",)),
        ("log-error=error.log\ndatadir=/data", ("/data/error.log",)),
        ("log-error=error.log", ()),
    ],
)
def test_the_log_is_found_where_the_server_writes_it(options: str, logs: tuple[str, ...]) -> None:
    assert learnt(options).logs == logs


@pytest.mark.parametrize(
    ("options", "logs"),
    [
        ("", ()),
        ("general-log-file=/g.log\nslow-query-log-file=/s.log", ()),
        ("general_log\ngeneral_log_file=/g.log", ("/g.log",)),
        (
            "general-log=OFF\ngeneral-log-file=/g.log\nslow-query-log=1\nslow-query-log-file=/s.log",
            ("/s.log",),
        ),
        ("slow-query-log=1\nslow-query-log-file=s.log\ndatadir=/data", ("/data/s.log",)),
        ("log-slow-query=1\nlog-slow-query-file=/s.log", ("/s.log",)),
        ("slow-query-log=1\nlog-slow-query=1\nslow-query-log-file=/s.log", ("/s.log",)),
        ("general-log=1\ngeneral-log-file=/g.log\nlog-output=TABLE", ()),
        ("general-log=1\ngeneral-log-file=/g.log\nlog-output=TABLE,FILE", ("/g.log",)),
        ("general-log=1", ()),
    ],
)
def test_logs_of_statements_are_found_where_they_are_on(options: str, logs: tuple[str, ...]) -> None:
    facts = learnt(options)

    assert (facts.logs, facts.access_logs) == ((), logs)


@pytest.mark.parametrize(
    ("options", "user", "binary", "command"),
    [
        ("user=my", "", "/usr/sbin/mariadbd", "mariadb-install-db --defaults-file=/etc/my.cnf --user=my"),
        ("", "me", "/usr/sbin/mysqld", "mariadb-install-db --defaults-file=/etc/my.cnf --user=me"),
        ("", "", "/usr/sbin/mysqld", "mariadb-install-db --defaults-file=/etc/my.cnf"),
        ("", "me", "/opt/bin/mysqld",
         "/opt/bin/mysqld --defaults-file=/etc/my.cnf --initialize-insecure --user=me"),
    ],
)  # fmt: skip
def test_a_data_directory_that_was_never_initialised_names_the_command(
    options: str, user: str, binary: str, command: str
) -> None:
    files = {CNF: f"[mysqld]\ndatadir=/data\n{options}", "/usr/sbin/mariadbd": "", "/usr/sbin/mysqld": ""}

    facts = learn(given(CNF, files, binary=binary, user=user))

    problem = f"the data directory /data has not been initialised; run: {command}"
    assert facts.preconditions == (Precondition(path="/data/mysql", problem=problem),)


NO_ADDRESS = (
    f"skip-networking is set in {CNF} and no socket is named, so where the server can be asked is unknown; "
    "write socket = /PATH into its group [mysqld]"
)


def test_a_data_directory_that_is_not_named_is_not_judged() -> None:
    assert learnt("").preconditions == ()


@pytest.mark.parametrize(
    ("options", "as_root", "problem"),
    [
        ("", True, 'the server refuses to run as root; write user = "mysql" into this table'),
        ("port=abc", False, "port is 'abc', which is no port; write 3306, say"),
        ("skip-networking", False, NO_ADDRESS),
    ],
)
def test_what_the_server_or_stackd_cannot_work_with_is_a_problem(
    options: str, as_root: bool, problem: str
) -> None:
    facts = learn(given(CNF, {CNF: f"[mysqld]\n{options}"}, as_root=as_root))

    assert facts.problems == (problem,)


def test_root_may_start_a_server_that_changes_its_user() -> None:
    assert learn(given(CNF, {CNF: "[mysqld]\nuser=mysql"}, as_root=True)).problems == ()


def test_a_file_that_is_not_there_is_a_problem() -> None:
    assert learn(given(CNF, {})).problems == (
        f"cannot read {CNF}: No such file or directory; name a file that it can read",
    )


@pytest.mark.parametrize(
    ("stderr", "evidence"),
    [
        (
            [
                "2026-11-22  8:26:24 0 [Warning] Could not increase number of max_open_files",
                "2026-11-22  8:26:26 0 [ERROR] mariadbd: unknown variable 'foo=1'",
                "2026-11-22  8:26:26 0 [ERROR] Aborting",
            ],
            ["[ERROR] mariadbd: unknown variable 'foo=1'"],
        ),
        (
            ["2026-11-22T08:26:26.123456Z 0 [ERROR] [MY-000067] [Server] unknown variable 'foo=1'."],
            ["[ERROR] [MY-000067] [Server] unknown variable 'foo=1'."],
        ),
        (
            [
                "2026-11-22  8:26:24 0 [Note] Starting",
                "error: Found option without preceding group in config file: /etc/my.cnf at line: 1",
                "Fatal error in defaults handling. Program aborted",
            ],
            [
                "error: Found option without preceding group in config file: /etc/my.cnf at line: 1",
                "Fatal error in defaults handling. Program aborted",
            ],
        ),
        ([], []),
    ],
)
def test_complaints_are_the_errors_without_their_times(stderr: list[str], evidence: list[str]) -> None:
    assert complaints("\n".join(stderr)) == tuple(evidence)
