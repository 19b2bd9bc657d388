"""The real uWSGI, of the wheel that is installed beside Python, run as its kind says."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from supervisor_stack.spec import Address
from tests.kinds.real import free_ports, wait_for_addresses
from tests.kinds.uwsgi_instance import Site, visit
from tests.servers import wait_until

UNIX = "socket = %dapp.sock"


def test_an_ini_with_daemonize_stays_in_the_foreground_and_survives_two_reloads(tmp_path: Path) -> None:
    log = tmp_path / "uwsgi.log"
    with Site(tmp_path, f"{UNIX}\nprocesses = 2\ndaemonize = {log}\nvacuum = true") as site:
        run = site.start()
        before: set[int] = set()
        for _ in range(2):
            before = run.wait_for_workers(2, others_than=before)
            run.process.send_signal(signal.SIGHUP)
        after = run.wait_for_workers(2, others_than=before)
        (address,) = site.held
        assert int(visit(address)) in after

        run.process.send_signal(signal.SIGINT)

        assert run.wait() == 0
        assert not log.exists()
        assert "spawned uWSGI worker 2" in run.words


def test_uwsgi_logs_where_its_loggers_were_found_to_say(tmp_path: Path) -> None:
    loggers = f"logger = file:own.log\nreq-logger = file:{tmp_path}/requests.log"
    with Site(tmp_path, f"{UNIX}\n{loggers}") as site:
        run = site.start()
        run.wait_for_workers(1)
        facts = site.facts()
        (own,), (requests,) = map(Path, facts.logs), map(Path, facts.access_logs)
        (address,) = site.held

        visit(address)

        wait_until(lambda: own.exists() and "spawned uWSGI worker 1" in own.read_text(), f"{own} is written")
        wait_until(lambda: requests.exists() and "GET / " in requests.read_text(), f"{requests} is written")


def test_uwsgi_whose_ini_wants_no_master_reloads_as_well(tmp_path: Path) -> None:
    with Site(tmp_path, f"{UNIX}\nmaster = false") as site:
        run = site.start()
        before = run.wait_for_workers(1)

        run.process.send_signal(signal.SIGHUP)

        run.wait_for_workers(1, others_than=before)


def test_uwsgi_listens_where_its_ini_was_found_to_say(tmp_path: Path) -> None:
    one, two, three, four = free_ports(4)
    (tmp_path / "base.ini").write_text(f"[uwsgi]\nuwsgi-socket = :{one}\nsocket = %n-%c.sock\n")
    options = f"""port = {two}
        ; socket = :1
        ini = base.ini
        socket = 127.0.0.1:%(port)
        http-socket = [::1]:{three}
        http = :{four}
        socket = %d%n.sock
        [other]
        socket = :2"""
    with Site(tmp_path, options) as site:
        facts = site.facts()
        assert facts.addresses == (
            Address(host="0.0.0.0", port=one),
            Address(path=f"{tmp_path}/app/base-{tmp_path.name}.sock"),
            Address(host="127.0.0.1", port=two),
            Address(host="::1", port=three),
            Address(host="0.0.0.0", port=four),
            Address(path=f"{tmp_path}/uwsgi.sock"),
        )

        run = site.start_as(facts)

        # The kernel knows a unix socket by the name that was given to bind(2).
        relative = Address(path=f"base-{tmp_path.name}.sock")
        wait_for_addresses(run.process, (facts.addresses[0], relative, *facts.addresses[2:]), run.folder)


@pytest.mark.parametrize("options", ["", "lazy-apps = true\nneed-app = true"])
def test_one_broken_application_among_several_ends_it(tmp_path: Path, options: str) -> None:
    mounts = "mount = /a=%dapp/site_under_test.py\nmount = /b=%dapp/broken.py"
    with Site(tmp_path, f"{UNIX}\n{mounts}\n{options}") as site:
        (site.app / "broken.py").write_text("import no_such_module")
        run = site.start()

        assert run.wait() == 22
        assert "No module named 'no_such_module'" in run.words


def test_without_a_default_application_a_mounted_one_is_asked(tmp_path: Path) -> None:
    options = "mount = /shop=%dapp/site_under_test.py\nmanage-script-name = true\nno-default-app = true"
    with Site(tmp_path, f"{UNIX}\n{options}") as site:
        run = site.start()
        workers = run.wait_for_workers(1)
        ready = run.facts.ready

        assert ready is not None
        assert ready.address is not None
        assert int(visit(ready.address, ready.path)) in workers
        assert visit(ready.address, "/") == "HTTP/1.1 500 Internal Server Error"
