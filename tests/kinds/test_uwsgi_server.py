"""The real uWSGI, of the wheel that is installed beside Python, run as its kind says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from supervisor_stack.kinds.uwsgi import KIND, learn
from supervisor_stack.spec import Address
from tests.kinds.real import free_ports, given_on_disk, running, wait_for_addresses
from tests.servers import wait_until

UWSGI = str(Path(sys.executable).with_name("uwsgi"))
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]
"""


def write_site(folder: Path, options: str) -> Path:
    (folder / "app").mkdir()
    (folder / "app" / "site_under_test.py").write_text(APPLICATION)
    config = folder / "uwsgi.ini"
    config.write_text(
        f"[uwsgi]\nchdir = {folder}/app\nmodule = site_under_test:application\nprocesses = 2\n{options}\n"
    )
    return config


def workers(pid: int) -> set[int]:
    """The workers of a uWSGI that obeys signals; none before that.

    Until it has set its handlers uWSGI ignores HUP, and Python takes INT: either would be lost.
    """
    children = {child.pid for child in psutil.Process(pid).children()}
    # The last handler that each sets: master_loop(), uwsgi_worker_run().
    obeys = catches(pid, signal.SIGUSR1) and all(catches(child, signal.SIGTERM) for child in children)
    return children if obeys else set()


def catches(pid: int, signum: signal.Signals) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signum - 1) & 1)


def wait_for_workers(uwsgi: subprocess.Popen[bytes], others_than: set[int]) -> set[int]:
    """Wait until there are two workers, and both are new."""
    found: set[int] = set()

    def are_new() -> bool:
        nonlocal found
        found = workers(uwsgi.pid)
        return len(found) == 2 and not found & others_than

    wait_until(are_new, f"workers other than {others_than}")
    return found


def test_an_ini_with_daemonize_stays_in_the_foreground_and_survives_two_reloads(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "uwsgi.log"
    config = write_site(
        tmp_path, f"socket = 127.0.0.1:{port}\nmaster = true\ndaemonize = {log}\nvacuum = true"
    )
    facts = learn(given_on_disk(config, UWSGI))

    with running(KIND, facts, tmp_path) as uwsgi:
        before: set[int] = set()
        for _ in range(2):
            before = wait_for_workers(uwsgi, others_than=before)
            uwsgi.send_signal(signal.SIGHUP)
        wait_for_workers(uwsgi, others_than=before)
        wait_for_addresses(uwsgi, facts.addresses, tmp_path)

    assert uwsgi.returncode == 0
    assert not log.exists()
    assert "spawned uWSGI worker 2" in (tmp_path / "output").read_text()


def test_uwsgi_whose_ini_wants_no_master_reloads_as_well(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = write_site(tmp_path, f"http-socket = 127.0.0.1:{port}\nmaster = false")
    facts = learn(given_on_disk(config, UWSGI))

    with running(KIND, facts, tmp_path) as uwsgi:
        before = wait_for_workers(uwsgi, others_than=set())
        uwsgi.send_signal(signal.SIGHUP)
        wait_for_workers(uwsgi, others_than=before)

    assert uwsgi.returncode == 0


def test_uwsgi_listens_where_its_ini_was_found_to_say(tmp_path: Path) -> None:
    one, two, three, four = free_ports(4)
    (tmp_path / "base.ini").write_text(f"[uwsgi]\nuwsgi-socket = :{one}\nsocket = %n-%c.sock\n")
    config = write_site(
        tmp_path,
        f"""port = {two}
        ; socket = :1
        ini = base.ini
        socket = 127.0.0.1:%(port)
        http-socket = [::1]:{three}
        http = :{four}
        socket = %d%n.sock
        [other]
        socket = :2""",
    )

    facts = learn(given_on_disk(config, UWSGI))

    assert facts.addresses == (
        Address(host="0.0.0.0", port=one),
        Address(path=f"{tmp_path}/app/base-{tmp_path.name}.sock"),
        Address(host="127.0.0.1", port=two),
        Address(host="::1", port=three),
        Address(host="0.0.0.0", port=four),
        Address(path=f"{tmp_path}/uwsgi.sock"),
    )
    # The kernel knows a unix socket by the name that was given to bind(2).
    relative = Address(path=f"base-{tmp_path.name}.sock")
    with running(KIND, facts, tmp_path) as uwsgi:
        wait_for_addresses(uwsgi, (facts.addresses[0], relative, *facts.addresses[2:]), tmp_path)
        wait_until(lambda: bool(workers(uwsgi.pid)), "uWSGI obeys signals")
