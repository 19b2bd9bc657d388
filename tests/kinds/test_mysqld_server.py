"""The real mariadbd, run and tested as its kind says."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from supervisor_stack.config.machine import DiskFiles
from supervisor_stack.kinds.mysqld import KIND, learn
from supervisor_stack.spec import Address
from tests.kinds.real import free_ports, given_on_disk, run_check, running, wait_for_addresses
from tests.servers import install_mariadb, program, wait_until

# Before it says so, SIGTERM may leave MariaDB 10.11 waiting for itself.
READY = "ready for connections"


def write_cnf(folder: Path, port: int, *options: str) -> Path:
    config = folder / "my.cnf"
    lines = (
        "[mysqld]",
        f"user = {getpass.getuser()}",
        f"datadir = {folder}/data",
        "socket = mysqld.sock",
        f"pid-file = {folder}/mysqld.pid",
        f"port = {port}",
        "bind-address = 127.0.0.1",
        "log-error = error",
        "innodb-buffer-pool-size = 8M",
        "innodb-log-file-size = 4M",
        *options,
    )
    config.write_text("\n".join(lines) + "\n")
    return config


def test_mariadb_listens_and_logs_where_its_file_says(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = write_cnf(tmp_path, port)
    facts = learn(given_on_disk(config, program("mariadbd")))
    needed = [Path(each.path) for each in facts.preconditions]

    assert not any(path.exists() for path in needed)
    install_mariadb(tmp_path / "data")
    assert all(path.is_dir() for path in needed)
    tcp, unix = facts.addresses
    (log,) = facts.logs
    assert unix == Address(path=f"{tmp_path}/data/mysqld.sock")
    with running(KIND, facts, tmp_path) as mariadbd:
        # The kernel knows a unix socket by the name that was given to bind(2).
        wait_for_addresses(mariadbd, (tcp, Address(path="mysqld.sock")), tmp_path)
        wait_until(lambda: READY in Path(log).read_text(), f"{log} tells of readiness")
    assert mariadbd.returncode == 0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data directory."""
    folder = tmp_path_factory.mktemp("mariadb")
    install_mariadb(folder / "data")
    return folder


@pytest.mark.parametrize(("switch", "file"), [("slow-query-log", "slow-query-log-file"),
                                              ("log-slow-query", "log-slow-query-file")])  # fmt: skip
def test_mariadb_logs_statements_where_its_file_says(installed: Path, switch: str, file: str) -> None:
    (port,) = free_ports(1)
    names = (f"{switch}.log", f"{switch}-all.log")
    options = (f"{switch} = 1", f"{file} = {names[0]}", "general_log", f"general_log_file = {names[1]}")
    facts = learn(given_on_disk(write_cnf(installed, port, *options), program("mariadbd")))

    found = [Path(path) for path in facts.access_logs]
    assert sorted(path.name for path in found) == sorted(names)
    assert not any(path.exists() for path in found)
    log = Path(facts.logs[0])
    log.unlink(missing_ok=True)
    with running(KIND, facts, installed):
        wait_until(lambda: log.exists() and READY in log.read_text(), "it can be told to stop")
        assert all("started with:" in path.read_text() for path in found)


@pytest.mark.parametrize("hosts", ["*", "::", "0.0.0.0", "127.0.0.1,::1"])
def test_mariadb_opens_just_the_sockets_that_would_be_held_for_it(installed: Path, hosts: str) -> None:
    (port,) = free_ports(1)
    facts = learn(given_on_disk(write_cnf(installed, port, f"bind-address = {hosts}"), program("mariadbd")))

    assert facts.hold is not None
    assert facts.hold.addresses is not None
    *tcp, _unix = facts.hold.addresses
    log = Path(facts.logs[0])
    starts = log.read_text().count(READY) if log.exists() else 0
    with running(KIND, facts, installed) as mariadbd:
        wait_for_addresses(mariadbd, (*tcp, Address(path="mysqld.sock")), installed)
        wait_until(lambda: log.read_text().count(READY) > starts, "it can be told to stop")


def test_a_program_tells_by_its_imports_whether_it_takes_over_sockets() -> None:
    files = DiskFiles()

    assert files.imports(program("mariadbd"), "sd_listen_fds")
    assert not files.imports(program("nginx"), "sd_listen_fds")


def test_a_script_a_folder_and_nothing_import_nothing(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\0sd_listen_fds\0")
    (tmp_path / "empty").touch()

    for name in ("script", "empty", "", "nothing"):
        assert not DiskFiles().imports(str(tmp_path / name), "sd_listen_fds")


def test_the_check_passes_a_good_file_without_touching_the_data_directory(tmp_path: Path) -> None:
    check = learn(given_on_disk(write_cnf(tmp_path, 1), program("mariadbd"))).check
    assert check is not None
    (tmp_path / "data").mkdir()

    tested = run_check(check, tmp_path)

    assert tested.returncode == 0, tested.stderr
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("option", "status", "error"),
    [
        ("nonsense = 1", 7, "unknown variable 'nonsense=1'"),
        ("nonsense", 2, "unknown option '--nonsense'"),
        ("basedir", 5, "option '--basedir' requires an argument"),
        ("bootstrap = 3", 4, "option '--bootstrap' cannot take an argument"),
        ("sql_mode = NONSENSE", 13, "Error while setting value 'NONSENSE' to 'sql_mode'"),
        ("back_log = 5x", 9, "Error while setting value '5x' to 'back_log'"),
    ],
)
def test_the_check_tells_what_is_wrong_by_a_final_exit_status(
    tmp_path: Path, option: str, status: int, error: str
) -> None:
    check = learn(given_on_disk(write_cnf(tmp_path, 1, option), program("mariadbd"))).check
    assert check is not None
    assert check.evidence is not None

    tested = run_check(check, tmp_path)

    assert tested.returncode == status
    assert status in KIND.final_exits
    assert check.evidence(tested.stderr)[-1] == f"[ERROR] {check.argv[0]}: {error}"
