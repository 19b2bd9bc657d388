"""Who may run services as whom. As root each test gives up its rights for as long as it reads."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_stack.config import judge, load
from supervisor_stack.errors import ConfigError
from tests.config.sites import Site, make_site

NOBODY = pwd.getpwnam("nobody")
WORKER = '[services.worker]\ncommand = ["celery", "worker"]\n'
ONLY_ROOT = "only root may start a service as somebody else; run stackd as root, or remove the key"


@pytest.fixture
def site() -> Iterator[Site]:
    """A site that belongs to the ordinary user. Not in tmp_path, which pytest keeps to its own user."""
    with tempfile.TemporaryDirectory() as folder:
        site = make_site(Path(folder))
        if os.geteuid() == 0:
            for path in (site.folder.parent, site.folder):
                os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        yield site


@pytest.fixture
def me(site: Site) -> Iterator[str]:  # noqa: ARG001  # the site is made before the rights are given up
    """The name of an ordinary user, who reads the configuration from here on."""
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        yield pwd.getpwuid(user).pw_name
        return
    os.setegid(NOBODY.pw_gid)
    os.seteuid(NOBODY.pw_uid)
    yield "nobody"
    os.seteuid(user)
    os.setegid(group)


def test_an_ordinary_user_runs_services_as_itself(site: Site, me: str) -> None:
    own_group = grp.getgrgid(os.getegid()).gr_name

    service = site.service(f'{WORKER}user = "{me}"\ngroup = "{own_group}"')

    assert (service.user, service.group) == (me, own_group)


@pytest.mark.usefixtures("me")
def test_an_ordinary_user_runs_no_service_as_somebody_else(site: Site) -> None:
    assert site.mistakes(f'{WORKER}user = "root"\ngroup = "root"')[1:] == [
        f"FILE:3: services.worker.user: {ONLY_ROOT}",
        f"FILE:4: services.worker.group: {ONLY_ROOT}",
    ]


@pytest.mark.usefixtures("me")
def test_whoever_only_looks_is_told_what_he_cannot_judge(site: Site) -> None:
    file = site.write(f'{WORKER}user = "root"\ngroup = "root"')

    stack, unjudged = judge(file, site.environ)

    assert [service.user for service in stack.services] == ["root"]
    why = "not judged: you are not root, and only root may start a service as somebody else"
    assert [site.shown(line) for line in unjudged] == [
        f"FILE:3: services.worker.user: {why}",
        f"FILE:4: services.worker.group: {why}",
    ]


@pytest.mark.usefixtures("me")
def test_a_configuration_that_may_not_be_read_is_an_error(site: Site) -> None:
    site.write(WORKER).chmod(0)

    with pytest.raises(ConfigError, match="Permission denied"):
        load(site.file, site.environ)
