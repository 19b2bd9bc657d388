"""Reloads of the real nginx: asked for and seen, good and bad, at once and in bursts."""

from __future__ import annotations

from pathlib import Path

from supervisor_stack.control.messages import Finished, Reload
from tests.servers import free_port, wait_until
from tests.stack import is_alive
from tests.system.site import Site

GOOD = "keepalive_timeout  64;"
BAD = "lisen 80;"
OLD = "keepalive_timeout  65;"


def until_reloaded(site: Site, times: int) -> None:
    """Wait until so many reloads were begun and the last has ended."""
    site.until(
        lambda: site.reloads() >= times and site.service("nginx").state == "running", f"{times} reloads ended"
    )


def test_a_requested_reload_gives_new_workers_under_the_same_master(site: Site) -> None:
    master, workers = site.pid_of("nginx"), site.workers("nginx")

    assert site.reload().ok

    assert site.pid_of("nginx") == master
    assert site.workers("nginx") - workers
    assert site.get("/")[0] == 200


def test_a_bad_file_signals_nobody_and_the_answer_is_nginx_own_line(site: Site) -> None:
    workers = site.workers("nginx")
    site.edit(OLD, BAD)

    done = site.reload()

    assert not done.ok
    assert done.outcomes[0].error == "configuration test failed (nginx -T exited 1)"
    where = site.conf.read_text().split("\n").index(f"    {BAD}") + 1
    emerg = f'nginx: [emerg] unknown directive "lisen" in {site.conf}:{where}'
    assert done.outcomes[0].detail[0] == emerg
    assert "goes on with its previous configuration" in done.outcomes[0].detail[-1]
    assert site.workers("nginx") == workers
    assert site.get("/")[0] == 200


def test_an_edit_is_seen_and_reloaded(site: Site) -> None:
    workers = site.workers("nginx")
    site.edit(OLD, GOOD)

    until_reloaded(site, 1)

    assert site.workers("nginx") - workers


def test_a_bad_edit_stays_in_sight_until_a_good_one_comes(site: Site) -> None:
    site.edit(OLD, BAD)
    until_reloaded(site, 1)

    assert "configuration test failed" in site.service("nginx").reason
    assert 'unknown directive "lisen"' in site.output.read_text()
    assert site.status().stack.state == "running"
    site.edit(BAD, GOOD)
    until_reloaded(site, 2)

    assert site.service("nginx").reason == ""


def test_a_burst_of_fifty_writes_gives_one_reload(site: Site) -> None:
    text = site.conf.read_text()
    for number in range(50):
        site.conf.write_text(text.replace(OLD, f"keepalive_timeout  {number + 1};"))

    until_reloaded(site, 1)
    site.edit("keepalive_timeout  50;", GOOD)
    until_reloaded(site, 2)

    assert site.reloads() == 2


def test_a_file_saved_by_renaming_is_seen(site: Site) -> None:
    new = site.folder / ".br_api.conf.swp"
    new.write_text(site.conf.read_text().replace(OLD, GOOD))
    new.rename(site.conf)

    until_reloaded(site, 1)

    assert site.service("nginx").reason == ""


def include(site: Site, pattern: str) -> None:
    site.edit("sendfile        on;", f"sendfile on; include {pattern};")
    assert site.reload().ok


def server_on(port: int, text: str) -> str:
    return f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{text}"; }} }}\n'


def until_served(site: Site, port: int, text: str) -> None:
    """Wait until a page says this; "" for nobody listening."""

    def served() -> str:
        try:
            return site.get("/", port)[1]
        except ConnectionError:
            return ""

    wait_until(lambda: served() == text, f"port {port} says {text!r}")


def test_files_that_appear_and_go_below_a_wildcard_are_seen(site: Site, tmp_path: Path) -> None:
    port = free_port()
    include(site, f"{tmp_path}/*.conf")

    (tmp_path / "new.conf").write_text(server_on(port, "hello"))
    until_served(site, port, "hello")
    (tmp_path / "new.conf").unlink()

    until_served(site, port, "")


def test_a_symbolic_link_that_is_switched_is_seen_and_then_the_file_behind_it(
    site: Site, tmp_path: Path
) -> None:
    port = free_port()
    enabled, available = tmp_path / "sites-enabled", tmp_path / "sites-available"
    enabled.mkdir()
    available.mkdir()
    for text in ("blue", "green"):
        (available / text).write_text(server_on(port, text))
    (enabled / "site").symlink_to(available / "blue")
    include(site, f"{enabled}/*")
    until_served(site, port, "blue")

    (tmp_path / "next").symlink_to(available / "green")
    (tmp_path / "next").rename(enabled / "site")
    until_served(site, port, "green")
    (available / "green").write_text(server_on(port, "dark green"))

    until_served(site, port, "dark green")


def test_a_reload_that_cannot_bind_is_found_out(site: Site) -> None:
    # The test of nginx passes with a taken port (it ignores EADDRINUSE); the reload itself does not.
    taken = site.service("redis").detail
    assert taken is not None
    address = taken.addresses[0]
    workers = site.workers("nginx")
    site.edit("server_name 127.0.0.1;", f"server_name 127.0.0.1; listen {address};")

    done = site.reload()

    assert not done.ok
    assert "Address already in use" in str(done.outcomes[0].detail)
    assert site.workers("nginx") == workers
    assert site.get("/")[0] == 200


def test_visitors_notice_nothing_of_a_reload(site: Site) -> None:
    old = site.workers("nginx")
    begun = site.client.operate(Reload(services=("nginx",)))
    next(begun)
    answers = {site.get("/")[0] for _ in range(20)}
    *_, last = begun

    assert isinstance(last, Finished)
    assert last.ok
    assert answers == {200}
    wait_until(lambda: not any(map(is_alive, old)), "the old workers have left")
