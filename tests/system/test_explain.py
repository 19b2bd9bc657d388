"""stackctl explain, blame and graph on the real servers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from supervisor_stack.control.messages import Start, Stop
from tests.cli.shop import stackctl
from tests.system.site import Site


def test_a_database_that_cannot_start_is_the_cause_of_a_web_server_that_waits(site: Site) -> None:
    my_cnf: Path = site.folder / "my.cnf"
    assert site.operate(Stop(), deadline=60).ok
    my_cnf.write_text(my_cnf.read_text() + "\n[mysqld]\ntmpdir = /nowhere\n")
    # Its first failure is to last, for somebody to ask about it.
    toml = site.config.read_text()
    site.config.write_text(toml.replace("[services.mysqld]", '[services.mysqld]\nrestart = "never"'))
    assert site.client.apply(timeout=60).ok
    next(site.client.operate(Start()))
    site.until(lambda: site.service("mysqld").state == "failed", "mysqld has failed")

    ran = stackctl("-c", site.config, "explain", "nginx")

    lines = ran.out.splitlines()
    assert lines[:2] == ["◌ nginx is waiting: needs uwsgi", "  ◌ uwsgi is waiting: needs mysqld, migrate"]
    assert lines[2].startswith("    ✗ mysqld failed: exit status 1: ")
    assert any("      | " in line and "Can't create/write to file '/nowhere/" in line for line in lines)
    assert lines[-2:] == ["    ◌ migrate is waiting: needs mysqld", "      mysqld: see above"]
    assert ran.code == 3


def test_a_rejected_change_is_told_while_the_site_goes_on(site: Site) -> None:
    site.edit("keepalive_timeout  65;", "lisen 80;")
    assert not site.reload().ok

    ran = stackctl("-c", site.config, "explain", "nginx")

    assert ran.out.startswith("● nginx runs and is ready, for ")
    assert "  its last change was not taken up: configuration test failed (nginx -T exited 1)\n" in ran.out
    assert '  | nginx: [emerg] unknown directive "lisen" in ' in ran.out
    assert ran.code == 0


def test_the_start_hung_on_the_chain_from_the_database_to_the_web_server(site: Site) -> None:
    told = stackctl("-c", site.config, "blame", "--json").json

    path = told["critical_path"]
    assert path[-1] == "nginx"
    assert path[-2] == "uwsgi"
    by_name = {each["name"]: each for each in told["services"]}
    for before, after in pairwise(path):
        assert by_name[after]["waited_for"] == before
        assert by_name[after]["begun"] == by_name[before]["ready"]
    assert "└─ requires ● uwsgi  running" in stackctl("-c", site.config, "graph", "nginx").out
