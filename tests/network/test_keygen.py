"""stackctl keygen: what it writes, with which modes, and that it never writes over anything."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from supervisor_stack.config.keys import read_clients, read_pair, read_public
from supervisor_stack.spec import ClientKey
from tests.cli.shop import Ran, stackctl


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def keygen(home: Path, *words: str | Path) -> Ran:
    return stackctl("keygen", *words, XDG_CONFIG_HOME=str(home), STACKD_CONFIG=str(home / "stackd.toml"))


def test_a_server_gets_a_folder_of_keys(tmp_path: Path) -> None:
    ran = keygen(tmp_path, "--server")

    folder = tmp_path / "keys"
    assert (ran.code, ran.out) == (0, f"{folder}/server.key\n{folder}/server.key_secret\n")
    assert f'keys = "{folder}"' in ran.err
    assert (mode(folder / "server.key"), mode(folder / "server.key_secret")) == (0o644, 0o600)
    assert read_pair(folder / "server.key_secret").public == read_public(folder / "server.key")
    assert read_clients(folder) == ((), [])


def test_the_folder_is_the_one_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "stackd.toml").write_text(
        '[stack]\nbase_dir = "site"\n[control.network]\nkeys = "secrets/keys"\nlisten = 5\n'
    )

    ran = keygen(tmp_path, "--server", "--json")

    assert ran.json["public"] == f"{tmp_path}/site/secrets/keys/server.key"


def test_without_one_there_it_is_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "stackd.toml").write_text('[stack]\nbase_dir = "site"\n')

    assert keygen(tmp_path, "--server", "--json").json["public"] == f"{tmp_path}/keys/server.key"


def test_somebody_makes_a_key_of_his_own(tmp_path: Path) -> None:
    ran = keygen(tmp_path, "alice")

    secret = tmp_path / "stackctl" / "alice.key_secret"
    assert ran.code == 0
    assert (mode(secret), mode(secret.parent)) == (0o600, 0o700)
    assert read_pair(secret).public == read_public(secret.with_name("alice.key"))
    assert (
        f"to be copied to clients/ in the folder of keys of each stackd: {secret.parent}/alice.key" in ran.err
    )
    assert f'key = "{secret}"' in ran.err


def test_where_stackd_is_a_key_is_made_with_its_role(tmp_path: Path) -> None:
    keygen(tmp_path, "--server")
    folder = tmp_path / "keys"
    (folder / "roles.toml").write_text("# who may what", newline="")
    (folder / "roles.toml").chmod(0o644)

    assert keygen(tmp_path, "web-admin", "--role", "operate").code == 0
    assert keygen(tmp_path, "--role", "admin", "ops.berlin").code == 0
    assert keygen(tmp_path, "--keys", folder, "screen").code == 0

    keys = {name: read_pair(folder / f"{name}.key_secret") for name in ("ops.berlin", "screen", "web-admin")}
    roles = {"ops.berlin": "admin", "screen": "view", "web-admin": "operate"}
    clients = tuple(
        ClientKey(name=name, public=pair.public.decode(), role=roles[name])  # type: ignore[arg-type]
        for name, pair in keys.items()
    )
    assert read_clients(folder) == (clients, [])
    assert {mode(folder / f"{name}.key_secret") for name in keys} == {0o600}


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("--server",), "keys/server.key_secret"),
        (("--server",), "keys/server.key"),
        (("me",), "stackctl/me.key_secret"),
        (("me",), "stackctl/me.key"),
        (("me", "--role", "view"), "keys/clients/me.key"),
    ],
)
def test_nothing_is_written_over(tmp_path: Path, words: tuple[str, ...], file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("somebody knows this")

    ran = keygen(tmp_path, *words)

    assert ran.code == 1
    assert ran.err.startswith(f"stackctl: cannot make a key: {path} is there already\n")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert path.read_text() == "somebody knows this"


def test_a_role_that_was_given_stays(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "roles.toml").write_text('me = "admin"\n')

    ran = keygen(tmp_path, "me", "--role", "view")

    assert ran.code == 1
    assert ran.err.startswith(
        f"stackctl: cannot give me the role view: {tmp_path}/keys/roles.toml has admin\n"
    )


@pytest.mark.parametrize(
    "words", [(), ("--server", "me"), ("a/b",), ("server",), ("me", "--role", "root"), ("..",)]
)
def test_what_is_no_key_is_a_mistake(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert keygen(tmp_path, *words).code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")

    ran = keygen(tmp_path, "--server")

    assert ran.code == 1
    assert ran.err == f"stackctl: cannot make a key: {tmp_path}/keys/clients: Not a directory\n"
