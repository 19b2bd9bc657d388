"""The real nginx, run and tested as its kind says."""

from __future__ import annotations

from pathlib import Path

import psutil

from supervisor_stack.kinds.nginx import KIND, learn
from supervisor_stack.spec import Address
from tests.kinds.nginx_site import report_of, write_site
from tests.kinds.real import free_ports, given_on_disk, run_check, running, wait_for_addresses
from tests.servers import program, wait_until


def test_nginx_listens_where_its_dump_says(tmp_path: Path) -> None:
    one, two, three, four = free_ports(4)
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "a site.conf").write_text(f"server {{ include listen.inc; listen [::1]:{two}; }}")
    (tmp_path / "listen.inc").write_text(f"listen {one}; # not 80;\n")
    config = write_site(
        tmp_path,
        "include 'sites/*.conf'; include none/*.conf;\n"
        f'server {{ listen "127.0.0.1:{three}" ; listen unix:site.sock; location ~ "^/a{{2}}" {{ }} }}\n'
        f"server {{ listen localhost:{four}; }}",
    )

    report = report_of(config)

    assert report.files == (
        str(config),
        f"{tmp_path}/sites/a site.conf",
        f"{tmp_path}/listen.inc",
    )
    assert report.globs == (f"{tmp_path}/sites/*.conf", f"{tmp_path}/none/*.conf")
    assert report.logs == (f"{tmp_path}/error.log",)
    assert report.addresses == (
        Address(host="0.0.0.0", port=one),
        Address(host="::1", port=two),
        Address(host="127.0.0.1", port=three),
        Address(path=f"{tmp_path}/site.sock"),
        Address(host="localhost", port=four),
    )
    real = (*report.addresses[:3], Address(host="127.0.0.1", port=four), Address(path="site.sock"))
    facts = learn(given_on_disk(config, program("nginx")))
    with running(KIND, facts, tmp_path) as nginx:
        wait_for_addresses(nginx, real, tmp_path)


def test_nginx_stays_in_the_foreground_when_its_file_says_daemon_on(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = write_site(tmp_path, f"server {{ listen 127.0.0.1:{port}; }}", top="daemon on;")
    facts = learn(given_on_disk(config, program("nginx")))

    with running(KIND, facts, tmp_path) as nginx:
        wait_for_addresses(nginx, report_of(config).addresses, tmp_path)
        wait_until(lambda: bool(psutil.Process(nginx.pid).children()), "nginx has a worker")

    assert nginx.returncode == 0


def test_the_evidence_of_a_broken_file_is_nginx_own_line(tmp_path: Path) -> None:
    config = write_site(tmp_path, "server { lisen 80; }")
    check = learn(given_on_disk(config, program("nginx"))).check
    assert check is not None
    assert check.evidence is not None

    tested = run_check(check, tmp_path)

    line = 1 + config.read_text()[: config.read_text().index("lisen")].count("\n")
    assert tested.returncode == 1
    assert check.evidence(tested.stderr) == (f'nginx: [emerg] unknown directive "lisen" in {config}:{line}',)
