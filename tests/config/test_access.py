"""Who may do what, as the configuration says it, and the folder of the keys."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq

from supervisor_stack.config.keys import read_pair, read_public
from supervisor_stack.spec import ClientKey, Grant
from tests.config.sites import GROUP, Site

WORKER = '[services.worker]\ncommand = ["celery", "worker"]\n'
NETWORK = '[control.network]\nlisten = "tcp://0.0.0.0:7890"\n' + WORKER
ME = pwd.getpwuid(os.geteuid()).pw_name


def certificate(path: Path, public: bytes, secret: bytes | None = None) -> None:
    """A key file, as zmq.auth and czmq write them."""
    text = f'#   a certificate\n\nmetadata\ncurve\n    public-key = "{public.decode()}"\n'
    path.write_text(text + (f'    secret-key = "{secret.decode()}"\n' if secret else ""))
    path.chmod(0o600 if secret else 0o644)


@pytest.fixture
def keys(site: Site) -> Path:
    """A folder as it should be: a server, and two who may come."""
    folder = site.folder / "keys"
    (folder / "clients").mkdir(parents=True)
    certificate(folder / "server.key_secret", *zmq.curve_keypair())
    for name in ("web-admin", "screen"):
        certificate(folder / "clients" / f"{name}.key", zmq.curve_keypair()[0])
    (folder / "roles.toml").write_text('web-admin = "admin"\n')
    for path in (folder, folder / "clients", folder / "roles.toml"):
        path.chmod(path.stat().st_mode & ~0o022)
    return folder


def test_users_and_groups_are_looked_up(site: Site) -> None:
    stack = site.load(f"""
[control]
group = "{GROUP}"
[control.roles]
view = ["{ME}"]
admin = ["@{GROUP}", "{ME}"]
{WORKER}""")

    user, group = os.geteuid(), os.getegid()
    assert stack.control.grants == (
        Grant(role="view", name=f"@{GROUP}", number=group),
        Grant(role="view", name=ME, number=user),
        Grant(role="admin", name=f"@{GROUP}", number=group),
        Grant(role="admin", name=ME, number=user),
    )


def test_a_network_is_where_and_for_whom(site: Site, keys: Path) -> None:
    network = site.load(NETWORK).control.network

    assert network
    assert (network.listen, network.events) == ("tcp://0.0.0.0:7890", "tcp://0.0.0.0:7891")
    assert network.keys == str(keys)
    assert [(key.name, key.role) for key in network.clients] == [("screen", "view"), ("web-admin", "admin")]
    public = read_public(keys / "clients" / "screen.key").decode()
    assert network.clients[0] == ClientKey(name="screen", public=public, role="view")
    assert read_pair(keys / "server.key_secret").secret.decode() not in repr(network)


def test_without_a_folder_of_keys_there_is_no_network(site: Site) -> None:
    message, mistake = site.mistakes(NETWORK)

    assert message == "cannot use the configuration FILE: 1 mistake"
    assert mistake == (
        "FILE:1: control.network.keys: there is no folder DIR/keys; make it: stackctl keygen --server "
        "--keys DIR/keys"
    )


def test_the_keys_are_beside_the_file_unless_it_says_where(site: Site, keys: Path) -> None:
    """`base_dir` may be a folder that a web server hands out."""
    (site.folder / "htdocs").mkdir()
    elsewhere = '[stack]\nbase_dir = "htdocs"\n'

    assert (network := site.load(elsewhere + NETWORK).control.network)
    assert network.keys == str(keys)
    named = NETWORK.replace("listen", 'keys = "../keys"\nlisten')
    assert (network := site.load(elsewhere + named).control.network)
    assert network.keys == f"{site.folder}/htdocs/../keys"


def secret_is_missing(keys: Path) -> None:
    (keys / "server.key_secret").unlink()


def secret_is_open(keys: Path) -> None:
    (keys / "server.key_secret").chmod(0o640)


def secret_is_no_key(keys: Path) -> None:
    (keys / "server.key_secret").write_text("secret-key\n")


def secret_is_public(keys: Path) -> None:
    certificate(keys / "server.key_secret", zmq.curve_keypair()[0])
    (keys / "server.key_secret").chmod(0o600)


def secret_does_not_fit(keys: Path) -> None:
    certificate(keys / "server.key_secret", zmq.curve_keypair()[0], zmq.curve_keypair()[1])


def client_is_cut(keys: Path) -> None:
    path = keys / "clients" / "screen.key"
    path.write_text(path.read_text()[:-8])


def client_is_secret(keys: Path) -> None:
    certificate(keys / "clients" / "screen.key", *zmq.curve_keypair())


def client_is_a_pipe(keys: Path) -> None:
    (keys / "clients" / "screen.key").unlink()
    os.mkfifo(keys / "clients" / "screen.key")


def client_is_there_twice(keys: Path) -> None:
    (keys / "clients" / "other.key").write_bytes((keys / "clients" / "screen.key").read_bytes())


def name_has_a_space(keys: Path) -> None:
    (keys / "clients" / "screen.key").rename(keys / "clients" / "a screen.key")


def role_is_unknown(keys: Path) -> None:
    (keys / "roles.toml").write_text('# roles\nscreen = "root"\n')


def role_is_for_nobody(keys: Path) -> None:
    (keys / "roles.toml").write_text('skreen = "view"\n')


def roles_are_no_toml(keys: Path) -> None:
    (keys / "roles.toml").write_text("screen = view\n")


def others_may_write_roles(keys: Path) -> None:
    (keys / "roles.toml").chmod(0o666)


def others_may_add_keys(keys: Path) -> None:
    (keys / "clients").chmod(0o775)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            secret_is_missing,
            "cannot read DIR/keys/server.key_secret: no such file or directory; make it with",
        ),
        (secret_is_open, "others may read DIR/keys/server.key_secret (mode 0640); chmod 600 "),
        (secret_is_no_key, "DIR/keys/server.key_secret is no key file of ZeroMQ; copy it anew"),
        (secret_is_public, "DIR/keys/server.key_secret has no secret key, only a public one; "),
        (secret_does_not_fit, "the two keys in DIR/keys/server.key_secret are no pair; "),
        (client_is_cut, "DIR/keys/clients/screen.key is no key file of ZeroMQ; copy it anew"),
        (
            client_is_secret,
            "DIR/keys/clients/screen.key has a secret key, which nobody but its owner may have;",
        ),
        (client_is_a_pipe, "cannot read DIR/keys/clients/screen.key: not a regular file; "),
        (client_is_there_twice, "DIR/keys/clients/screen.key has the same key as other.key; remove one"),
        (name_has_a_space, "DIR/keys/clients/a screen.key is no name of a key; use letters"),
        (
            role_is_unknown,
            'DIR/keys/roles.toml:2: the role of "screen" is "root"; write one of view, operate, admin',
        ),
        (
            role_is_for_nobody,
            'DIR/keys/roles.toml:1: a role for "skreen", and there is no clients/skreen.key;',
        ),
        (roles_are_no_toml, "DIR/keys/roles.toml is not TOML: "),
        (others_may_write_roles, "others may write to DIR/keys/roles.toml (mode 0666); chmod go-w "),
        (others_may_add_keys, "others may write to DIR/keys/clients (mode 0775); chmod go-w "),
    ],
)
def test_what_is_wrong_with_the_keys_is_told_with_its_cure(
    site: Site, keys: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(keys)

    _, mistake = site.mistakes(NETWORK)

    assert mistake.startswith(f"FILE:1: control.network.keys: {told}")
