"""Option files, as MariaDB 10.11 reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supervisor_stack.config.machine import DiskFiles
from supervisor_stack.kinds.my_cnf import CnfReader
from tests.kinds.given import TextFiles
from tests.servers import program

CNF = "/etc/my.cnf"


def read(text: str, *arguments: str, **others: str) -> CnfReader:
    """The options; other files are in /etc."""
    files = {CNF: text} | {f"/etc/{name}.cnf": other for name, other in others.items()}
    reader = CnfReader(TextFiles(files), "/etc")
    reader.read_file(CNF)
    reader.read_arguments(arguments)
    assert reader.problems == []
    return reader


@pytest.mark.parametrize(
    "group",
    [
        "mysqld",
        "server",
        "mariadb",
        "mariadbd",
        "client-server",
        "galera",
        "mysqld-5.7",
        "mariadb-10.11",
        " mysqld ",
    ],
)
def test_groups_of_the_server_are_read(group: str) -> None:
    assert read(f"[{group}]\nport = 1").value("port") == "1"


@pytest.mark.parametrize(
    "group", ["client", "mysqld_safe", "mysqld1", "mysqldump", "mariadb-client", "mysqld-a"]
)
def test_groups_of_other_programs_are_not(group: str) -> None:
    assert "port" not in read(f"[{group}]\nport = 1")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("log-error=/a", "/a"),
        ("log_error\t=\t/a ", "/a"),
        ("loose-log-error = /a", "/a"),
        ("loose_log_error = /a", "/a"),
        ("log-error = /a # comment", "/a"),
        ("log-error = /a#b", "/a"),
        ("log-error = '/a#b'", "/a#b"),
        ('log-error = "/a b" # comment', "/a b"),
        ("log-error = '/a' ; no comment", "'/a' ; no comment"),
        (r"log-error = a\sb\\c\"d\e", r'a b\c"d\e'),
        ("log-error = a=b", "a=b"),
        ("log-error", ""),
        ("log-error =", ""),
    ],
)
def test_a_line_is_an_option(line: str, value: str) -> None:
    conf = read(f"[mysqld]\n{line}")

    assert "log-error" in conf
    assert conf.value("log-error", "unset") == value


def test_the_last_option_wins_whatever_its_group() -> None:
    assert read("[mariadb]\nport=1\n[mysqld]\nport=2\n[server]\nport=3").value("port") == "3"


@pytest.mark.parametrize(
    ("line", "is_on"),
    [("skip-networking", True), ("skip_networking=1", True), ("skip-networking=OFF", False), ("", False)],
)
def test_a_switch_is_set_by_its_name_alone(line: str, is_on: bool) -> None:
    assert read(f"[mysqld]\n{line}").is_on("skip-networking") is is_on


def test_includes_are_followed_in_place() -> None:
    conf = read(
        "[mysqld]\nport=1\n!include /etc/one.cnf\n!includedir /etc/conf.d\nsocket=/c",
        one="[mysqld]\nport=2\nsocket=/b",
        **{"conf.d/b": "[mysqld]\nuser=b", "conf.d/a": "[mysqld]\nuser=a"},
    )

    assert (conf.value("port"), conf.value("socket"), conf.value("user")) == ("2", "/c", "b")


def test_an_include_leaves_the_group_of_the_file_as_it_was() -> None:
    assert read("[mysqld]\n!include /etc/one.cnf\nport=1", one="[client]\nport=2").value("port") == "1"


def test_a_missing_include_is_passed_over_as_the_server_does() -> None:
    assert read("[mysqld]\n!include /etc/none.cnf\nport=1").value("port") == "1"


def test_files_that_include_each_other_come_to_an_end() -> None:
    assert read(f"[mysqld]\nport=1\n!include {CNF}").value("port") == "1"


@pytest.mark.parametrize("arguments", [["--port=2"], ["--port", "2"], ["--skip-grant-tables", "--port=2"]])
def test_arguments_win(arguments: list[str]) -> None:
    assert read("[mysqld]\nport=1", *arguments).value("port") == "2"


def test_the_server_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.cnf").write_text("[mysqld]\ntmpdir = /a\nsocket = /one\n")
    (tmp_path / "conf.d" / "b.cnf").write_text("[mysqld]\ntmpdir = /b\n")
    (tmp_path / "conf.d" / "c.txt").write_text("[mysqld]\ntmpdir = /c\n")
    (tmp_path / "one.cnf").write_text("[client]\nport = 9\n[server]\nuser = 'u#v'\n")
    cnf = tmp_path / "my.cnf"
    cnf.write_text(
        f"""# comment
        ; comment
        [client-server]
        socket = "/tmp/a.sock"  # trailing
        [mysqld]
        port=1
        port = 2 # two
        log-error=/tmp/a#b
        datadir=/tmp\\sdata
        !includedir {tmp_path}/conf.d
        !include {tmp_path}/one.cnf
        skip-networking
        [mysqld_safe]
        port=3
        """
    )
    conf = CnfReader(DiskFiles(), str(tmp_path))
    conf.read_file(str(cnf))

    argv = (program("mariadbd"), f"--defaults-file={cnf}", "--print-defaults")
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    last = dict(option.partition("=")[::2] for option in told.rpartition(":\n")[2].strip().split(" --"))
    names = ("socket", "port", "log-error", "datadir", "tmpdir", "user", "skip-networking")
    assert {name: conf.value(name) for name in names} == {
        name: last.get(name, last.get(f"--{name}")) for name in names
    }
