"""A broken file at the worst moment: the server comes back on the last configuration that was good."""

from __future__ import annotations

import pytest

from tests.system.site import Site
from tests.system.visitors import visitors

FILES = {"nginx": "br_api.conf", "uwsgi": "uwsgi.ini", "redis": "redis.conf", "mysqld": "my.cnf"}
BREAK = {
    "nginx": ("http {\n", "http {\nlisen 80;\n"),
    "uwsgi": ("[uwsgi]\n", "[uwsgi]\nstrict = true\nno-such-option = 1\n"),
    "redis": ("databases 16\n", "no-such-option 1\n"),
    "mysqld": ("[mysqld]\n", "[mysqld]\nno-such-option = 1\n"),
}


def until_kept(site: Site, name: str) -> None:
    def kept() -> bool:
        detail = site.service(name).detail
        return detail is not None and detail.kept != ""

    site.until(kept, f"a copy of the configuration of {name} is kept")


@pytest.mark.parametrize("name", ["nginx", "uwsgi", "redis", "mysqld"])
def test_a_server_that_dies_while_its_file_is_broken_comes_back_on_the_copy(site: Site, name: str) -> None:
    until_kept(site, name)
    file = site.folder / FILES[name]
    whole = file.read_text()
    file.write_text(whole.replace(*BREAK[name]))

    site.kill(name)
    site.until(
        lambda: "runs on the copy" in site.service(name).reason, f"{name} says that it runs on the copy"
    )

    assert site.service(name).ready
    assert site.get("/db")[0] == 200
    assert site.get("/cache")[0] == 200
    log = site.output.read_text()
    assert f"{name}: " in log
    assert "runs on the copy of its configuration of" in log


def test_nginx_leaves_the_copy_without_a_loss_when_the_file_is_good_again(site: Site) -> None:
    until_kept(site, "nginx")
    whole = site.conf.read_text()
    site.conf.write_text(whole.replace(*BREAK["nginx"]))
    site.kill("nginx")
    site.until(lambda: "runs on the copy" in site.service("nginx").reason, "it runs on the copy")

    with visitors(f"http://127.0.0.1:{site.port}/") as visits:
        site.conf.write_text(whole)
        site.until(lambda: not site.service("nginx").reason, "it runs on its file again")

    assert dict(visits.failed) == {}
    detail = site.service("nginx").detail
    assert detail is not None
    assert str(site.conf) in detail.tree[0].command
