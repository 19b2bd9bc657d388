"""Several stackds at once, by the names of their hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import jsonschema
import pytest

from tests.cli.schemas import FOLDER
from tests.cli.shop import DEADLINE, STACKCTL, Ran, environment, stackctl
from tests.cli.terminal import plain, stackctl_on_terminal
from tests.network.bench import NetworkStack, free_ports


class Fleet:
    """Two hosts that are there, one that is not, one that does not know us, and the first by its socket."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.web1, self.web2 = NetworkStack(folder / "web1"), NetworkStack(folder / "web2")
        keys = {stack: stack.admit("me", "operate") for stack in (self.web1, self.web2)}
        public = (self.web2.keys / "server.key").read_text().split('"')[1]
        self.file = folder / "stackctl.toml"
        self.file.write_text(f"""
[hosts.web1]
address = "{self.web1.endpoint}"
server_key = "web1/keys/server.key"
key = "web1/keys/me.key_secret"

[hosts.web2]
address = "tcp://localhost:{self.web2.port}"
server_key = "{public}"
key = "{keys[self.web2]}"

[hosts.down]
address = "tcp://127.0.0.1:{free_ports(1)[0]}"
server_key = "{public}"
key = "{keys[self.web2]}"

[hosts.stranger]
address = "{self.web1.endpoint}"
server_key = "web1/keys/server.key"
key = "{keys[self.web2]}"

[hosts.here]
socket = "ipc://{self.web1.run_dir}/control.sock"
""")

    def ask(self, *words: str) -> Ran:
        return stackctl(*words, XDG_CONFIG_HOME=str(self.home))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    with fleet.web1 as web1, fleet.web2 as web2:
        web1.until_up()
        web2.until_up()
        yield fleet


def test_one_host_is_asked_as_if_it_were_this_one(fleet: Fleet) -> None:
    assert fleet.ask("--host", "web1", "is-active", "web") == (0, "running\n", "")
    assert fleet.ask("--host", "here", "is-active", "web") == (0, "running\n", "")
    assert fleet.ask("--host", "web2", "restart", "web").code == 0
    assert (fleet.web1.service("web").run, fleet.web2.service("web").run) == (1, 2)
    assert fleet.ask("--host", "web1", "status", "web").out.count("web.log") == 1, (
        "the path, and not the text"
    )
    refused = fleet.ask("shutdown", "--host=web1")
    assert refused.code == 4
    assert refused.err.startswith(
        "stackctl: cannot shut down the stack: you are key me, with the role operate"
    )


def test_the_status_of_several_is_one_table(fleet: Fleet) -> None:
    ran = fleet.ask("--host", "web1,down", "--host", "stranger,web2", "status")

    head, titles, *rows = ran.out.splitlines()
    assert head == "web1 running  down unknown  stranger unknown  web2 running"
    assert titles.split()[:3] == ["HOST", "SERVICE", "STATE"]
    assert [row.split()[1:3] for row in rows] == [
        ["web1", "db"],
        ["web1", "web"],
        ["down", "cannot"],
        ["stranger", "cannot"],
        ["web2", "db"],
        ["web2", "web"],
    ]
    assert rows[2].endswith("it is not running, or listens elsewhere")
    assert rows[3].endswith("it hung up before the keys were agreed upon")
    assert (ran.code, ran.err) == (4, "")


def test_a_terminal_that_cuts_a_cause_shows_it_whole_below(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)

    ran = stackctl_on_terminal(
        "--host", "down,web1", columns=100, changes={"XDG_CONFIG_HOME": str(fleet.home)}
    )

    first, second = (line for line in plain(ran.out).splitlines() if line.startswith(("down: ", "web1: ")))
    assert first.startswith("down: cannot reach stackd at tcp://127.0.0.1:")
    assert first.endswith(": it is not running, or listens elsewhere")
    assert second.startswith("web1: ")


def test_what_each_says_stays_together_in_the_order_of_the_names(fleet: Fleet) -> None:
    os.kill(fleet.web1.pid, signal.SIGSTOP)
    try:
        ran = fleet.ask("--host", "web1,down,web2", "restart", "all", "--timeout", "1")
    finally:
        os.kill(fleet.web1.pid, signal.SIGCONT)

    said = [line.split(":")[0] for line in ran.err.splitlines()]
    assert [host for host, _ in groupby(said)] == ["web1", "down", "web2"]
    assert "no agreement on the keys within 1 s" in ran.err
    assert fleet.web2.service("web").run == 2


def test_for_programs_each_host_is_as_it_is_alone(fleet: Fleet) -> None:
    ran = fleet.ask("--host", "all", "status", "--json")

    jsonschema.validate(ran.json, json.loads((FOLDER / "hosts.json").read_text()))
    assert ran.json["error"]["message"] == "cannot answer for down, stranger"
    hosts = ran.json["hosts"]
    assert (ran.code, ran.json["v"], ran.json["ok"]) == (4, 1, False)
    assert list(hosts) == ["web1", "web2", "down", "stranger", "here"]
    assert [service["name"] for service in hosts["web2"]["services"]] == ["db", "web"]
    assert hosts["web2"].keys() == fleet.ask("--host", "web2", "status", "--json").json.keys()
    assert hosts["down"]["error"]["kind"] == "not-running"
    assert hosts["stranger"]["error"]["kind"] == "not-permitted"
    well = fleet.ask("--host", "web1,web2", "is-active", "web", "--json")
    assert (well.code, well.json["ok"], well.json["hosts"]["web1"]["state"]) == (0, True, "running")


def test_lines_for_programs_come_with_their_host_and_the_error_last(fleet: Fleet) -> None:
    ran = fleet.ask("--host", "web1,down", "events", "--json")

    *told, last = map(json.loads, ran.out.splitlines())
    assert {each["host"] for each in told} == {"web1", "down"}
    assert {each["service"] for each in told if each["host"] == "web1"} == {"db", "web"}
    assert [each["error"]["kind"] for each in told if each["host"] == "down"] == ["not-running"]
    assert (last["error"]["message"], last["error"]["detail"]) == (
        "cannot answer for down",
        ["down: see its last line"],
    )
    assert (ran.code, ran.err) == (4, "")


def test_what_each_does_is_told_with_its_name_and_the_worst_code_counts(fleet: Fleet) -> None:
    ran = fleet.ask("--host", "web1,web2", "restart", "web")

    assert (ran.code, ran.out) == (0, "")
    assert {line.split()[0] for line in ran.err.splitlines()} == {"web1:", "web2:"}
    assert (fleet.web1.service("web").run, fleet.web2.service("web").run) == (2, 2)
    assert fleet.ask("--host", "web2", "stop", "web").code == 0
    active = fleet.ask("--host", "web1,web2", "is-active", "web")
    assert (active.code, sorted(active.out.splitlines())) == (3, ["web1: running", "web2: stopped"])
    assert fleet.ask("--host", "web2,down", "start", "web").code == 7
    assert fleet.ask("--host", "web1,web2", "version").out.count("stackd    0.1.0 (pid ") == 2


def test_events_of_several_are_followed_together(fleet: Fleet) -> None:
    argv = [*STACKCTL, "--host", "web1,web2", "events", "-f", "-n", "0", "--json"]
    env = environment(XDG_CONFIG_HOME=str(fleet.home))
    told = fleet.home / "told"
    with (
        told.open("wb") as output,
        subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE, env=env) as process,
    ):
        try:
            heard = set[str]()
            while heard != {"web1", "web2"}:  # nobody tells when each has begun to follow
                fleet.ask("--host", "web1,web2", "restart", "web")
                *whole, _ = told.read_bytes().split(b"\n")
                heard = {json.loads(line)["host"] for line in whole}
        finally:
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, err) == (130, b"")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--host", "wbe1", "status"), 2, "cannot find the host `wbe1` in HOSTS; did you mean"),
        (
            ("--host", "xyz", "status"),
            2,
            "cannot find the host `xyz` in HOSTS; there are: web1, web2",
        ),
        (("--host", "web1,web2", "logs"), 2, "cannot show logs at web1, web2: what that needs is only on"),
        (("--host", "web1", "check"), 2, "cannot check the configuration at web1: what that needs is"),
        (
            ("--host", "web1", "-c", "x", "status"),
            2,
            "cannot understand the command line: --host, --socket and",
        ),
        (
            ("--host", ",", "status"),
            2,
            "cannot understand the command line: argument --host: expected a name",
        ),
    ],
)
def test_what_cannot_be_asked_of_a_host(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    fleet = Fleet(tmp_path)

    ran = fleet.ask(*words)

    assert ran.code == code
    assert ran.err.replace(str(fleet.file), "HOSTS").startswith(f"stackctl: {told}")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("x = 5", "hosts.x: is a number; write [hosts.x] and its keys below"),
        ("[hosts.x]", 'hosts.x: takes one of address = "tcp://HOST:7890" and socket = "ipc://PATH"'),
        ('[hosts.x]\nadress = "tcp://web1:1"', 'hosts.x.adress: unknown key; did you mean "address"?'),
        ('[hosts.x]\nsocket = "/run/x"', 'hosts.x.socket: is no unix socket; write "ipc://PATH"'),
        ("[hosts.x]\naddress = 7890", "hosts.x.address: is a number; write a string"),
        ('[hosts.x]\naddress = "web1"', 'hosts.x.address: is no address; write "tcp://HOST:7890"'),
        ('[hosts.x]\naddress = "tcp://web1:7890"', "hosts.x: has no server_key; the network takes keys: "),
        (
            '[hosts.x]\naddress = "tcp://web1:7890"\nserver_key = "none.key"\nkey = "none"',
            "hosts.x.server_key: cannot read DIR/none.key: no such file or directory; ",
        ),
    ],
)
def test_a_host_that_is_not_well_described(tmp_path: Path, table: str, told: str) -> None:
    file = tmp_path / "stackctl.toml"
    file.write_text(table if table.startswith("[") else f"[hosts]\n{table}")

    ran = stackctl("--host", "x", "status", XDG_CONFIG_HOME=str(tmp_path))

    assert ran.code == 4
    mistakes = [line.replace(str(tmp_path), "DIR") for line in ran.err.splitlines()[1:]]
    assert all(line.startswith("  DIR/stackctl.toml:") for line in mistakes)
    assert any(line.partition(": ")[2].startswith(told) for line in mistakes)


def test_without_a_file_of_hosts_it_is_said_where_it_is_looked_for(tmp_path: Path) -> None:
    ran = stackctl("--host", "web1", "status", XDG_CONFIG_HOME=str(tmp_path))

    assert ran.code == 4
    assert ran.err.startswith(f"stackctl: cannot read the hosts {tmp_path}/stackctl.toml: No such file")
