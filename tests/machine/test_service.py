"""stackd as a service: what systemd does to it, and it to its services."""

from __future__ import annotations

import re

from tests.machine.site import CGROUP, CONFIG, SERVERS, SITE, Site
from tests.servers import wait_until


def cgroup_of(machine: Site, pid: int) -> str:
    """A host that has cgroups of version 1 as well tells of these too, in lines of their own."""
    found = re.search(r"^0::(.*)$", machine.read(f"/proc/{pid}/cgroup"), re.MULTILINE)
    assert found is not None
    return found[1]


SLEEPER = """
[services.sleeper]
command = ["/usr/bin/sleep", "infinity"]
"""


def test_after_the_boot_the_stack_is_up_and_systemctl_says_so(machine: Site) -> None:
    status = machine.systemctl("status", "stackd")

    assert "Active: active (running)" in status
    assert 'Status: "running: 5 of 5 services ready"' in status
    with machine.visitors() as visits:
        pass
    assert not visits.failed


def test_killed_it_comes_back_and_finds_its_services(machine: Site) -> None:
    lives, stackd = machine.lives(), machine.stackd()

    with machine.visitors() as visits:
        # Who asks meanwhile is not refused: systemd keeps the control socket.
        machine.sh(f"kill -KILL {stackd}; stackctl list")
        machine.until_replaced(stackd)

    assert not visits.failed
    assert machine.lives() == lives
    services = machine.services()
    assert {name: services[name]["adopted"] for name in SERVERS} == dict.fromkeys(SERVERS, True)
    assert {name: services[name]["restarts"] for name in SERVERS} == dict.fromkeys(SERVERS, 0)
    assert machine.show("stackd", "NRestarts") == "1"


def test_killed_many_times_it_is_never_given_up(machine: Site) -> None:
    lives = machine.lives()

    for _ in range(8):
        stackd = machine.stackd()
        machine.run("kill", "-KILL", str(stackd))
        machine.until_replaced(stackd)

    assert machine.lives() == lives


def test_one_that_hangs_is_replaced_by_the_watchdog(machine: Site) -> None:
    machine.write("/etc/systemd/system/stackd.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "stackd")
    machine.until_up()
    lives, stackd = machine.lives(), machine.stackd()

    with machine.visitors() as visits:
        machine.run("kill", "-STOP", str(stackd))
        machine.until_replaced(stackd)

    assert "Watchdog timeout" in machine.journal("--unit", "stackd")
    assert not visits.failed
    assert machine.lives() == lives


def test_it_pings_the_watchdog_as_long_as_it_is_well(machine: Site) -> None:
    """In the time between two looks systemd has heard from it."""

    def heard() -> int:
        return int(machine.show("stackd", "WatchdogTimestampMonotonic"))

    machine.write("/etc/systemd/system/stackd.service.d/test.conf", "[Service]\nWatchdogSec=1s\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", "stackd")
    machine.until_up()
    stackd, before = machine.stackd(), heard()

    wait_until(lambda: heard() - before > 3_000_000, "it pings for three times the limit", 30)

    assert machine.stackd() == stackd


def test_a_reload_starts_what_the_file_has_in_addition(machine: Site) -> None:
    lives, stackd = machine.lives(), machine.stackd()
    machine.write(CONFIG, machine.read(CONFIG) + SLEEPER)

    machine.systemctl("reload", "stackd")

    machine.stackctl("wait", "--timeout", "30", "sleeper")
    assert machine.services()["sleeper"]["state"] == "running"
    assert machine.lives() == lives
    assert machine.stackd() == stackd


def test_a_reload_of_a_bad_file_fails_and_changes_nothing(machine: Site) -> None:
    lives, stackd = machine.lives(), machine.stackd()
    machine.edit(CONFIG, "[services.nginx]\n", '[services.nginx]\nrestart = "of course"\n')

    done = machine.run("systemctl", "reload", "stackd", check=False)

    assert done.returncode == 1
    assert "services.nginx.restart" in machine.journal("--unit", "stackd")
    assert machine.systemctl("is-active", "stackd").strip() == "active"
    assert machine.lives() == lives
    assert machine.stackd() == stackd


def test_a_stop_goes_in_reverse_and_leaves_no_process(machine: Site) -> None:
    machine.systemctl("stop", "stackd")

    assert machine.show("stackd", "Result") == "success"
    assert machine.show("stackd", "NFileDescriptorStore") == "0"
    assert not machine.processes()
    assert machine.run("pgrep", "-x", "mariadbd|redis-server|nginx|uwsgi", check=False).stdout == ""
    said = machine.journal("--unit", "stackd")
    stopped = re.findall(r"(\w+): stopping -> stopped", said)
    assert stopped[:2] == ["nginx", "uwsgi"]
    assert set(stopped[2:]) == {"mysqld", "redis"}
    assert "remains running after unit stopped" not in said


def test_a_shutdown_lasts_and_one_that_keeps_the_services_too(machine: Site) -> None:
    lives = machine.lives()

    machine.stackctl("shutdown", "--keep-services")
    wait_until(lambda: machine.show("stackd", "ActiveState") == "inactive", "stackd is gone", 30)
    assert machine.show("stackd", "NRestarts") == "0"
    machine.systemctl("start", "stackd")
    machine.until_up()
    assert machine.lives() == lives

    machine.stackctl("shutdown")
    wait_until(lambda: machine.show("stackd", "ActiveState") == "inactive", "stackd is gone", 30)
    assert not machine.processes()
    machine.systemctl("start", "stackd")
    machine.until_up()


def test_a_stop_waits_for_a_slow_service(machine: Site) -> None:
    """Longer than systemd would by itself: stackd says that it needs the time."""
    slow = 'trap "sleep 4; exit 0" TERM; while :; do sleep 0.1; done'
    machine.write(
        CONFIG,
        machine.read(CONFIG) + f"[services.slow]\ncommand = ['/bin/sh', '-c', '{slow}']\nstop_timeout = 30\n",
    )
    machine.write("/etc/systemd/system/stackd.service.d/test.conf", "[Service]\nTimeoutStopSec=2s\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("reload", "stackd")
    machine.stackctl("wait", "--timeout", "30", "slow")

    machine.systemctl("stop", "stackd")

    assert machine.show("stackd", "Result") == "success"
    assert not machine.processes()


def test_a_restart_keeps_the_services(machine: Site) -> None:
    lives = machine.lives()

    with machine.visitors() as visits:
        for verb in ("restart", "try-restart"):
            stackd = machine.stackd()
            machine.systemctl(verb, "stackd")
            machine.sh("stackctl list")
            machine.until_replaced(stackd)

    assert not visits.failed
    assert machine.lives() == lives


def test_a_signal_to_replace_itself_keeps_pid_and_services(machine: Site) -> None:
    lives, stackd = machine.lives(), machine.stackd()
    since = machine.status()["stackd"]["since"]

    with machine.visitors() as visits:
        machine.systemctl("kill", "--signal", "USR2", "--kill-whom", "main", "stackd")
        wait_until(lambda: machine.status()["stackd"].get("since", since) != since, "it replaced itself", 30)
        machine.until_up()

    assert not visits.failed
    assert machine.stackd() == stackd
    assert machine.lives() == lives
    assert machine.show("stackd", "NRestarts") == "0"


def test_after_a_reboot_the_last_boot_is_not_believed(machine: Site) -> None:
    """Even if its state is still there: pids of that boot mean nothing in this one."""
    machine.sh("cp -a /run/stackd /root/of-the-last-boot")
    machine.write(
        "/etc/systemd/system/stackd.service.d/test.conf",
        "[Service]\nExecStartPre=/bin/cp -a /root/of-the-last-boot/. /run/stackd\n"
        "ExecStartPre=/bin/touch /root/copied\n",
    )

    machine.reboot()
    machine.until_up()

    assert machine.run("test", "-e", "/root/copied").returncode == 0
    services = machine.services()
    assert {name: services[name]["run"] for name in SERVERS} == dict.fromkeys(SERVERS, 1)
    assert not [name for name in SERVERS if services[name]["adopted"]]
    with machine.visitors() as visits:
        pass
    assert not visits.failed


def test_a_broken_file_is_no_reason_to_leave_the_services_alone(machine: Site) -> None:
    lives = machine.lives()
    good = machine.read(CONFIG)
    machine.edit(CONFIG, "[services.nginx]\n", '[services.nginx]\nrestart = "of course"\n')

    with machine.visitors() as visits:
        machine.systemctl("restart", "stackd")
        machine.until_up()
        assert machine.lives() == lives
        assert "going on with the last good one" in machine.show("stackd", "StatusText")
        pid = machine.services()["redis"]["pid"]
        machine.run("kill", "-KILL", str(pid))
        machine.stackctl("wait", "--timeout", "30", "redis")
        assert machine.services()["redis"]["pid"] != pid

        machine.write(CONFIG, good)
        machine.systemctl("reload", "stackd")
        assert "last good" not in machine.show("stackd", "StatusText")

    assert not visits.failed


def test_a_start_by_hand_with_a_broken_file_is_refused(machine: Site) -> None:
    good = machine.read(CONFIG)
    machine.systemctl("stop", "stackd")
    machine.edit(CONFIG, "[services.nginx]\n", '[services.nginx]\nrestart = "of course"\n')

    machine.run("systemctl", "start", "stackd", check=False)

    assert machine.show("stackd", "ExecMainStatus") == "78"
    machine.write(CONFIG, good)
    machine.systemctl("start", "stackd")


def test_a_service_speaks_in_the_journal_under_its_own_name(machine: Site) -> None:
    speak = "echo good morning; echo trouble >&2; exec sleep infinity"
    speaker = f"[services.speaker]\ncommand = ['/bin/sh', '-c', '{speak}']\nlog = {{to = 'journal'}}\n"
    machine.write(CONFIG, machine.read(CONFIG) + speaker)
    machine.systemctl("reload", "stackd")
    machine.stackctl("wait", "--timeout", "30", "speaker")

    def said() -> set[str]:
        return set(machine.journal("--identifier", "speaker").splitlines())

    wait_until(lambda: said() == {"good morning", "trouble"}, "the journal has both lines", 30)
    # It belongs to the unit as well, and goes on when stackd is another.
    assert "good morning" in machine.journal("--unit", "stackd")


class TestDescriptorStore:
    """Listening sockets outlive stackd also when no service has them."""

    # Its address answers for as long as it lives, and it lives until somebody makes this file.
    WEB = f"""
[services.web]
command = ["/bin/sh", "-c", "test ! -e /root/broken && exec {SITE}/venv/bin/python /root/web.py"]
hold = ["127.0.0.1:9090"]
backoff = {{initial = "1h", max = "1h"}}
start_limit = {{burst = 100, interval = "1s"}}
"""
    ANSWER = """
import socket
listening = socket.socket(fileno=3)
while True:
    connection, _ = listening.accept()
    connection.sendall(b"served")
    connection.close()
"""
    ASK = "import socket; print(socket.create_connection(('127.0.0.1', 9090), 60).recv(99).decode())"

    def test_a_client_that_comes_while_all_are_down_is_served_in_the_end(self, machine: Site) -> None:
        machine.write("/root/web.py", self.ANSWER)
        machine.write(CONFIG, machine.read(CONFIG) + self.WEB)
        machine.systemctl("reload", "stackd")
        machine.stackctl("wait", "--timeout", "30", "web")
        assert machine.run("python3", "-c", self.ASK).stdout == "served\n"
        assert int(machine.show("stackd", "NFileDescriptorStore")) > 0
        machine.sh("touch /root/broken")
        web, stackd = machine.services()["web"]["pid"], machine.stackd()

        # The first restart is at once; it fails, and the next one is an hour away.
        machine.run("kill", "-KILL", str(web))
        wait_until(lambda: machine.services()["web"]["state"] == "backoff", "web has failed", 30)
        machine.run("kill", "-KILL", str(stackd))
        client = machine.start("python3", "-c", self.ASK)
        machine.until_replaced(stackd, "degraded")
        assert machine.services()["web"]["state"] == "backoff"
        assert client.poll() is None
        machine.sh("rm /root/broken")
        machine.stackctl("start", "web")

        told, trouble = client.communicate(timeout=60)
        assert (told, trouble) == ("served\n", "")

    def test_the_store_does_not_grow_with_the_runs(self, machine: Site) -> None:
        before = machine.show("stackd", "NFileDescriptorStore")

        for _ in range(3):
            stackd = machine.stackd()
            machine.stackctl("restart", "--hard", "nginx")
            machine.run("kill", "-KILL", str(stackd))
            machine.until_replaced(stackd)

        assert int(before) > 0
        assert machine.show("stackd", "NFileDescriptorStore") == before


class TestCgroups:
    """Each service has one of its own below the unit's."""

    def test_each_service_has_one_and_stackd_is_in_none(self, machine: Site) -> None:
        where = {name: cgroup_of(machine, life.pid) for name, life in machine.lives().items()}
        stackd = cgroup_of(machine, machine.stackd())

        assert len(set(where.values())) == len(SERVERS)
        for name, cgroup in where.items():
            assert cgroup.startswith("/system.slice/stackd.service/")
            assert name in cgroup
            assert name in machine.run("systemd-cgls", "--no-pager", "--unit", "stackd.service").stdout
        assert stackd not in where.values()

    def test_who_hides_from_everything_else_is_ended_with_its_service(self, machine: Site) -> None:
        """Two forks, a session of its own, and nothing in its environment."""
        hide = 'setsid env -i /bin/sh -c "/bin/sleep 86400 & exit" & sleep 1; exec sleep infinity'
        machine.write(
            CONFIG, machine.read(CONFIG) + f"[services.hider]\ncommand = ['/bin/sh', '-c', '{hide}']\n"
        )
        machine.systemctl("reload", "stackd")
        machine.stackctl("wait", "--timeout", "30", "hider")

        def hidden() -> str:
            return machine.run("pgrep", "-f", "^/bin/sleep 86400", check=False).stdout.strip()

        wait_until(lambda: bool(hidden()), "it hides", 30)
        machine.stackctl("stop", "hider")
        assert hidden() == ""

    def test_who_hides_is_ended_also_by_the_next_stackd(self, machine: Site) -> None:
        hide = 'setsid env -i /bin/sh -c "/bin/sleep 86400 & exit" & exec sleep infinity'
        machine.write(
            CONFIG, machine.read(CONFIG) + f"[services.hider]\ncommand = ['/bin/sh', '-c', '{hide}']\n"
        )
        machine.systemctl("reload", "stackd")
        machine.stackctl("wait", "--timeout", "30", "hider")
        stackd = machine.stackd()

        def hidden() -> str:
            return machine.run("pgrep", "-f", "^/bin/sleep 86400", check=False).stdout.strip()

        wait_until(lambda: bool(hidden()), "it hides", 30)
        machine.run("kill", "-KILL", str(stackd))
        machine.until_replaced(stackd)
        machine.stackctl("stop", "hider")
        assert hidden() == ""

    def test_a_stop_leaves_no_cgroup(self, machine: Site) -> None:
        machine.systemctl("stop", "stackd")

        assert machine.run("test", "-e", CGROUP, check=False).returncode == 1


def test_members_of_the_group_may_use_stackctl_and_others_may_not(machine: Site) -> None:
    machine.write(CONFIG, machine.read(CONFIG) + '[control]\ngroup = "stackd"\n')
    machine.sh("useradd member --groups stackd; useradd stranger")
    machine.systemctl("stop", "stackd")
    machine.systemctl("start", "stackd")

    assert (
        machine.run("setpriv", "--reuid=member", "--regid=member", "--init-groups", "stackctl").returncode
        == 0
    )
    done = machine.run(
        "setpriv", "--reuid=stranger", "--regid=stranger", "--init-groups", "stackctl", check=False
    )
    assert done.returncode == 4
    assert "permission denied" in done.stderr


def test_a_port_that_another_unit_holds_is_told_with_what_frees_it(machine: Site) -> None:
    port = 8099
    machine.write(
        "/etc/systemd/system/old-web.service",
        f"[Service]\nExecStart=/usr/bin/python3 -m http.server {port} --bind 127.0.0.1\n",
    )
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "old-web")
    wait_until(lambda: f":{port:04X} 00000000:0000 0A" in machine.read("/proc/net/tcp"), "old-web listens")
    web = f'\n[services.web]\ncommand = ["/usr/bin/sleep", "infinity"]\nhold = ["127.0.0.1:{port}"]\n'
    machine.write(CONFIG, machine.read(CONFIG) + web)

    machine.systemctl("reload", "stackd")

    told = "it belongs to old-web.service: systemctl disable --now old-web"
    wait_until(lambda: told in machine.run("stackctl", "status", "web", check=False).stdout, "it is told")
