"""script/install: the first time, again, with a mistake, and --uninstall."""

from __future__ import annotations

from pathlib import Path

import pytest

from share.files import FILES
from tests.machine.site import CGROUP, CONFIG, PROJECT, SITE, Site

VERSION = f"{PROJECT}/supervisor_stack/__init__.py"


def versions(machine: Site) -> set[str]:
    return set(machine.sh("ls /opt/stackd/versions").split())


def test_a_fresh_machine_gets_stackd_and_is_told_what_to_do_next(fresh: Site) -> None:
    said = fresh.install()

    assert "is installed, and not running" in said
    assert "systemctl enable --now stackd" in said
    assert fresh.systemctl("is-active", "stackd", check=False).strip() == "inactive"
    assert fresh.run("stackd", "--version").stdout.startswith("stackd ")
    assert fresh.run("stackctl", "--json", "status", check=False).returncode == 4
    linked = fresh.sh("find /usr/local/share /etc/fish -xtype f -lname '/opt/stackd/current/share/*'").split()
    assert {Path(link).name for link in linked} == {Path(place).name for place in FILES}
    assert fresh.sh("getent group stackd").startswith("stackd:")
    assert fresh.sh("stat -c '%a %U %G' /etc/stackd /var/log/stackd").splitlines() == [
        "755 root root",
        "750 root root",
    ]
    # It is the example of the wheel, which nobody has filled in yet.
    assert fresh.read(CONFIG) == fresh.read(f"{PROJECT}/etc/stackd.toml")
    assert fresh.run("stackd", "--check", check=False).returncode == 78


def test_installed_again_nothing_is_made_anew(fresh: Site) -> None:
    fresh.write(CONFIG, "# mine\n" + fresh.as_service())
    fresh.install()
    made, times = versions(fresh), fresh.sh("stat -c %y /opt/stackd/versions/*/.stamp")

    fresh.install()

    assert versions(fresh) == made
    assert fresh.sh("stat -c %y /opt/stackd/versions/*/.stamp") == times
    assert fresh.read(CONFIG).startswith("# mine\n")


def test_a_wheel_is_installed_as_well(fresh: Site) -> None:
    fresh.sh(f"{SITE}/venv/bin/pip wheel --no-deps --wheel-dir /root/made {PROJECT}")

    fresh.install(fresh.sh("echo /root/made/*.whl").strip())

    assert fresh.run("stackd", "--version").stdout.startswith("stackd ")


def test_what_is_no_wheel_is_refused(fresh: Site) -> None:
    for argument, status in (("--help", 2), ("missing.whl", 1)):
        done = fresh.run("sh", f"{PROJECT}/script/install", argument, check=False)
        assert done.returncode == status
        assert done.stderr
    assert fresh.run("test", "-e", "/opt/stackd", check=False).returncode == 1


def test_the_installed_unit_is_one_that_systemd_reads_without_a_word(machine: Site) -> None:
    done = machine.run("systemd-analyze", "verify", "stackd.service")

    assert done.stdout + done.stderr == ""


class TestUpgrade:
    """With another version than the one that runs."""

    @pytest.fixture
    def machine(self, machine: Site) -> Site:
        machine.sh(f"sed -i 's/^__version__ = .*/__version__ = \"7.0.0\"/' {VERSION}")
        return machine

    def test_no_request_fails_and_no_service_notices(self, machine: Site) -> None:
        lives, stackd, old = machine.lives(), machine.stackd(), versions(machine)

        with machine.visitors() as visits:
            said = machine.install()
            machine.until_up()

        assert "runs in place of" in said
        assert not visits.failed
        assert machine.status()["stackd"]["version"] == "7.0.0"
        assert machine.stackd() != stackd
        assert machine.lives() == lives
        assert len(versions(machine) - old) == 1

        machine.install()  # once more: the version before stays all the same
        assert old & versions(machine)

    def test_what_the_new_version_cannot_read_changes_nothing(self, machine: Site) -> None:
        stackd, old = machine.stackd(), versions(machine)
        machine.edit(CONFIG, "[services.nginx]\n", '[services.nginx]\nrestart = "of course"\n')

        done = machine.run("sh", f"{PROJECT}/script/install", check=False)

        assert done.returncode == 1
        assert "restart" in done.stderr
        assert "nothing is changed" in done.stderr
        assert versions(machine) == old
        assert machine.stackd() == stackd
        assert machine.status()["stack"]["state"] == "running"

    def test_a_version_that_does_not_load_is_not_even_tried(self, machine: Site) -> None:
        stackd, old = machine.stackd(), versions(machine)
        machine.sh(f"echo 'import nothing' >>{PROJECT}/supervisor_stack/daemon/daemon.py")

        done = machine.run("sh", f"{PROJECT}/script/install", check=False)

        assert done.returncode == 1
        assert "No module named 'nothing'" in done.stderr
        assert versions(machine) == old
        assert machine.stackd() == stackd

    def test_a_version_that_does_not_start_is_taken_back(self, machine: Site) -> None:
        lives, running = machine.lives(), machine.status()["stackd"]["version"]
        # It loads, and fails when it is to serve.
        machine.sh(
            f"echo 'async def _serve(*_): raise SystemExit(1)' >>{PROJECT}/supervisor_stack/daemon/daemon.py"
        )

        with machine.visitors() as visits:
            done = machine.run("sh", f"{PROJECT}/script/install", check=False, timeout=300)
            machine.until_up()

        assert done.returncode == 1
        assert "runs again" in done.stderr
        assert not visits.failed
        assert machine.status()["stackd"]["version"] == running
        assert machine.lives() == lives


def test_uninstalled_nothing_is_left_but_what_is_the_users(machine: Site) -> None:
    said = machine.install("--uninstall")

    assert "/etc/stackd, /var/log/stackd and the group stackd stay" in said
    assert not machine.processes()
    for gone in ("/opt/stackd", "/usr/local/bin/stackctl", "/usr/local/bin/stackd", "/run/stackd", CGROUP):
        assert machine.run("test", "-e", gone, check=False).returncode == 1, gone
    assert machine.sh("find /usr/local/share /etc/fish -lname '/opt/stackd/*'") == ""
    assert machine.show("stackd", "LoadState") == "not-found"
    assert machine.read(CONFIG)
    assert machine.run("pgrep", "-x", "mariadbd|redis-server|nginx|uwsgi", check=False).stdout == ""


def test_what_else_is_at_its_place_stays(fresh: Site) -> None:
    fresh.sh("mkdir -p /srv/tools/bin && touch /srv/tools/bin/precious")
    at_tools = ("env", "PREFIX=/srv/tools", "sh", f"{PROJECT}/script/install")
    fresh.run(*at_tools, timeout=300)
    assert "/srv/tools/current/bin/stackd" in fresh.read("/etc/systemd/system/stackd.service")

    fresh.run(*at_tools, "--uninstall", timeout=300)

    assert fresh.run("find", "/srv/tools", "-type", "f").stdout.split() == ["/srv/tools/bin/precious"]
    relative = fresh.run("env", "PREFIX=here", "sh", f"{PROJECT}/script/install", check=False)
    assert (relative.returncode, "PREFIX has to be an absolute path" in relative.stderr) == (1, True)


def test_purged_nothing_at_all_is_left(machine: Site) -> None:
    machine.install("--uninstall", "--purge")

    left = machine.sh("find /etc /usr/local /var/log /run /opt -name '*stackd*'; getent group stackd || true")
    assert left == ""


def test_what_a_dead_stackd_left_running_is_not_forgotten(machine: Site) -> None:
    """Killed, and stopped before systemd could start it again: the services still run."""
    machine.sh("systemctl kill --signal KILL --kill-whom main stackd; systemctl stop stackd")

    machine.install("--uninstall")

    assert machine.run("pgrep", "-x", "mariadbd|redis-server|nginx|uwsgi", check=False).stdout == ""
