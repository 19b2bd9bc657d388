"""The sockets to hold, as the file names them."""

from __future__ import annotations

from supervisor_stack.spec import Address, Hold
from tests.config.sites import GROUP, USER, Site

WEB = '[services.web]\ncommand = ["gunicorn", "br_api.wsgi"]\n'


def test_a_command_gets_what_its_hold_names_in_that_order(site: Site) -> None:
    service = site.service(f'{WEB}hold = [":8000", "unix:run/app.sock", "[::1]:8000", "[::]:8001"]')

    addresses = (
        Address(host="0.0.0.0", port=8000),
        Address(path=f"{site.folder}/run/app.sock"),
        Address(host="::1", port=8000),
        Address(host="::", port=8001, dual=True),
    )
    assert service.hold == Hold(lend="systemd", addresses=addresses)
    assert service.addresses == addresses


def test_a_unix_socket_belongs_to_the_user_and_the_group_of_its_service(site: Site) -> None:
    service = site.service(f'{WEB}hold = ["unix:app.sock"]\nuser = "{USER}"\ngroup = "{GROUP}"')

    assert service.hold is not None
    assert (service.hold.user, service.hold.group, service.hold.mode) == (USER, GROUP, 0o666)


def test_nothing_is_held_for_a_command_that_names_nothing(site: Site) -> None:
    assert site.service(WEB).hold is None
    assert site.service(f"{WEB}hold = []").hold is None


def test_a_probe_asks_at_the_held_address(site: Site) -> None:
    service = site.service(f'{WEB}hold = ["127.0.0.1:8000"]\nready = {{type = "http"}}')

    assert service.ready is not None
    assert service.ready.address == Address(host="127.0.0.1", port=8000)


def test_an_empty_hold_is_allowed_for_every_kind(site: Site) -> None:
    redis = '[services.redis]\nkind = "redis"\nconfig = "redis.conf"\nhold = []\n'
    nginx = '[services.nginx]\nkind = "nginx"\nconfig = "nginx.conf"\nhold = []\n'

    assert [service.hold for service in site.load(redis + nginx).services] == [None, None]
