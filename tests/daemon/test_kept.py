"""What a Keeper keeps, when, and for whom. Redis stands for all servers: it judges a copy in 10 ms."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from supervisor_stack.errors import OperationError, SpawnError
from supervisor_stack.kinds import nginx, redis
from supervisor_stack.spec import CheckReport, ServiceSpec
from tests.daemon.keeping import Bench, on_bench, spec_of
from tests.kinds.nginx_site import write_site
from tests.servers import program

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all users may enter. Not tmp_path, which pytest keeps to its own user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "more").mkdir()
        (folder / "redis.conf").write_text("port 6379\ninclude more/*.conf\n")
        yield folder


@pytest.fixture
def spec(folder: Path) -> ServiceSpec:
    return spec_of(redis.KIND, folder / "redis.conf", program("redis-server"))


async def refusal(bench: Bench) -> tuple[str, ...]:
    """Why no copy is made, without "cannot keep a copy of FILE: ", and what is told with it."""
    with pytest.raises(OperationError) as refused:
        await bench.keeper.keep(bench.spec, 1)
    start = f"cannot keep a copy of {bench.spec.config}: "
    assert refused.value.message.startswith(start)
    return refused.value.message.removeprefix(start), *refused.value.detail


def test_a_copy_is_one_file_with_all_that_was_read(spec: ServiceSpec, folder: Path) -> None:
    (folder / "more" / "a.conf").write_text("# twice\nmaxmemory 10mb\n")

    async def scenario(bench: Bench) -> None:
        at = await bench.keep()

        title, *lines = bench.copy.read_text().splitlines()
        assert title == f"# A copy that stackd made on {at} of {folder}/redis.conf and what it includes."
        assert lines == ["port 6379", "maxmemory 10mb"]
        assert bench.keeper.files("redis") == (f"{folder}/redis.conf", f"{folder}/more/a.conf")
        assert bench.keeper.argv(spec)[:2] == (program("redis-server"), str(bench.copy))
        assert {path.name for path in bench.copy.parent.iterdir()} == {"redis.conf", "redis.json"}

    on_bench(spec, scenario)


def test_only_the_user_of_the_service_may_read_the_copy(spec: ServiceSpec) -> None:
    is_root = os.geteuid() == 0
    owner = NOBODY if is_root else pwd.getpwuid(os.geteuid())

    async def scenario(bench: Bench) -> None:
        await bench.keep()

        copy, within = bench.copy.stat(), bench.copy.parent.stat()
        assert (copy.st_uid, copy.st_gid, stat.S_IMODE(copy.st_mode)) == (owner.pw_uid, owner.pw_gid, 0o400)
        assert (within.st_uid, stat.S_IMODE(within.st_mode)) == (os.geteuid(), 0o711)

    on_bench(msgspec.structs.replace(spec, user=owner.pw_name if is_root else ""), scenario)


def test_what_the_service_may_not_read_does_not_get_into_its_copy(spec: ServiceSpec, folder: Path) -> None:
    secret = folder / "more" / "secret.conf"
    secret.write_text("masterauth secret\n")
    secret.chmod(0)

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(bench.spec, 1)

        cause, *_ = await refusal(bench)
        assert cause.startswith(f"{secret} cannot be read")
        assert not bench.copy.exists()

    on_bench(msgspec.structs.replace(spec, user="nobody" if os.geteuid() == 0 else ""), scenario)


def test_files_that_have_not_changed_leave_the_copy_and_its_time(spec: ServiceSpec) -> None:
    async def scenario(bench: Bench) -> None:
        at, inode = await bench.keep(), bench.copy.stat().st_ino

        assert (await bench.keep(), bench.copy.stat().st_ino) == (at, inode)

    on_bench(spec, scenario)


def test_files_that_have_changed_make_a_new_copy(spec: ServiceSpec, folder: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.keep()
        (folder / "more" / "new.conf").write_text("maxmemory 20mb\n")
        await bench.keep()

        assert "maxmemory 20mb" in bench.copy.read_text()

    on_bench(spec, scenario)


@pytest.mark.parametrize("changed", ["redis.conf", "more/new.conf"])
def test_files_that_changed_since_they_were_read_are_not_kept(
    spec: ServiceSpec, folder: Path, changed: str
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1)
        (folder / changed).write_text("port 1\n")

        assert await refusal(bench) == (
            "its files have changed since run 1 read them",
            "there is no copy to fall back on",
        )

    on_bench(spec, scenario)


def test_what_another_run_has_read_is_not_kept(spec: ServiceSpec) -> None:
    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 2)

        assert (await refusal(bench))[0] == "what run 1 has read was not noted"

    on_bench(spec, scenario)


def test_a_copy_that_the_server_does_not_take_is_none(spec: ServiceSpec, folder: Path) -> None:
    (folder / "redis.conf").write_text("port 6379\nprot 1\n")

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1)

        assert (await refusal(bench))[0] == "'prot 1' Bad directive or wrong number of arguments"
        assert list(bench.copy.parent.glob("*.conf*")) == []

    on_bench(spec, scenario)


def test_the_copy_stays_when_no_new_one_can_be_made(spec: ServiceSpec, folder: Path) -> None:
    async def scenario(bench: Bench) -> None:
        at = await bench.keep()
        (folder / "redis.conf").write_text("port 6379\nprot 1\n")
        bench.keeper.note(spec, 1)

        assert (await refusal(bench))[-1] == f"the copy of {at} stays"
        assert "prot" not in bench.copy.read_text()

    on_bench(spec, scenario)


def test_text_that_is_not_utf_8_is_refused_outside_of_comments(spec: ServiceSpec, folder: Path) -> None:
    async def scenario(bench: Bench) -> None:
        (folder / "redis.conf").write_bytes("# große\nport 1\n".encode("latin-1"))
        await bench.keep()
        (folder / "redis.conf").write_bytes("requirepass große\n".encode("latin-1"))
        bench.keeper.note(spec, 1)

        assert (await refusal(bench))[0] == "it has bytes that are not UTF-8, and not only in comments"

    on_bench(spec, scenario)


def test_what_cannot_be_a_configuration_file_is_not_opened(spec: ServiceSpec, folder: Path) -> None:
    os.mkfifo(folder / "more" / "pipe.conf")

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1)

        assert (await refusal(bench))[0] == f"{folder}/more/pipe.conf cannot be read (not a regular file)"

    on_bench(spec, scenario)


def test_files_differ_when_their_text_does(spec: ServiceSpec, folder: Path) -> None:
    config = folder / "redis.conf"
    text = config.read_text()

    async def scenario(bench: Bench) -> None:
        await bench.keep()
        assert not bench.keeper.differs(spec)
        config.write_text("port 1\n")
        assert bench.keeper.differs(spec)
        config.write_text(text)
        assert not bench.keeper.differs(spec)
        (folder / "more" / "new.conf").touch()
        assert bench.keeper.differs(spec)

    on_bench(spec, scenario)


def test_files_that_proved_good_do_not_differ_even_if_they_could_not_be_kept(
    spec: ServiceSpec, folder: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.keep()
        (folder / "redis.conf").write_text("port 6379\ninclude redis.conf\n")
        bench.keeper.note(spec, 1)
        await refusal(bench)

        assert not bench.keeper.differs(spec)

    on_bench(spec, scenario)


def test_without_a_copy_there_is_nothing_to_differ_from_or_to_start_on(
    spec: ServiceSpec, folder: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1)
        (folder / "redis.conf").write_text("port 1\n")

        assert not bench.keeper.differs(spec)
        assert bench.keeper.files("redis") == ()
        with pytest.raises(
            SpawnError, match=r"^cannot start redis on a copy of its configuration: there is none$"
        ):
            bench.keeper.argv(spec)

    on_bench(spec, scenario)


def test_a_copy_that_somebody_removed_is_made_again(spec: ServiceSpec) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.keep()
        bench.copy.unlink()
        await bench.keep()

        assert bench.copy.exists()

    on_bench(spec, scenario)


def test_a_copy_of_another_file_is_none(spec: ServiceSpec) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.keep()

        with pytest.raises(SpawnError):
            bench.keeper.argv(msgspec.structs.replace(spec, config="/etc/redis.conf"))

    on_bench(spec, scenario)


def test_the_copy_of_a_service_that_is_no_more_is_removed(spec: ServiceSpec) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.keep()
        bench.keeper.forget("another")
        assert bench.copy.exists()
        bench.keeper.forget("redis")
        assert not bench.copy.exists()

    on_bench(spec, scenario)


@pytest.mark.parametrize(
    ("http", "cause", "evidence"),
    [
        ("lisen 80;", "its configuration test fails (exit status 1)", 'unknown directive "lisen"'),
        ("server { rewrite ^/([^/}]+)$ /x; }", "nginx-crossplane cannot read it: unexpected", "no copy"),
        ("server { auth_basic_user_file $host; }", "auth_basic_user_file $host names a file", "no copy"),
    ],
)
def test_nginx_files_that_make_no_good_copy_are_not_kept(
    tmp_path: Path, http: str, cause: str, evidence: str
) -> None:
    config = write_site(tmp_path, http)
    spec = spec_of(nginx.KIND, config, program("nginx"))

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1, CheckReport(files=(str(config),)))

        told, *detail = await refusal(bench)
        assert cause in told
        assert evidence in detail[0]
        assert list(bench.copy.parent.glob("*.conf*")) == []

    on_bench(spec, scenario)


def test_a_dump_that_does_not_have_the_files_as_they_are_is_not_kept(tmp_path: Path) -> None:
    # What looks like the beginning of a file in a dump may be a comment: somebody saved a dump.
    config = write_site(tmp_path, f"\n# configuration file {tmp_path}/more.conf:\n")
    spec = spec_of(nginx.KIND, config, program("nginx"))

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1, CheckReport(files=(str(config),)))

        told, *_ = await refusal(bench)
        assert told.endswith("has changed, or a comment in it looks like the beginning of another file")

    on_bench(spec, scenario)
