"""The real servers die while their files are broken, and come back on the copy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from supervisor_stack.daemon.probe import ask
from supervisor_stack.errors import SpawnError
from supervisor_stack.kinds import mysqld, nginx, redis, uwsgi
from supervisor_stack.spec import Address, ProbeSpec, ProbeType, ServiceSpec
from tests.daemon.keeping import Bench, on_bench, spec_of
from tests.kinds.nginx_site import write_site
from tests.servers import free_port, install_mariadb, program


def answers(type: ProbeType, address: Address, **keys: str) -> Callable[[], Awaitable[bool]]:  # noqa: A002
    """Whether the server speaks its protocol there."""

    async def run_command(_argv: tuple[str, ...], _timeout: float) -> tuple[int, str]:
        raise SpawnError("there is no command")

    async def answers() -> bool:
        return not await ask(ProbeSpec(type=type, address=address, **keys), None, run_command=run_command)  # type: ignore[arg-type]

    return answers


def comes_back(
    spec: ServiceSpec, broken: dict[Path, str | None], is_up: Callable[[], Awaitable[bool]]
) -> None:
    """Start it on its files, keep them, break them, kill it; it does not start on them, but on the copy."""

    async def scenario(bench: Bench) -> None:
        bench.keeper.note(spec, 1, await bench.report())
        async with bench.running(spec.argv, is_up) as process:
            await bench.keeper.keep(spec, 1)
            for path, text in broken.items():
                if text is None:
                    path.unlink()
                else:
                    path.write_text(text)
            process.kill_group()
        with pytest.raises(AssertionError):
            async with bench.running(spec.argv, is_up):
                await asyncio.sleep(0)
        assert bench.keeper.differs(spec)
        async with bench.running(bench.keeper.argv(spec), is_up):
            assert bench.keeper.files(spec.name)[0] == spec.config

    on_bench(spec, scenario)


def test_nginx_comes_back(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "sites").mkdir()
    site = tmp_path / "sites" / "shop.conf"
    site.write_text(f"server {{ listen 127.0.0.1:{port}; include answer.inc; }}")
    (tmp_path / "answer.inc").write_text("location = /kept { return 204; }")
    config = write_site(tmp_path, "include sites/*.conf;")

    comes_back(
        spec_of(nginx.KIND, config, program("nginx")),
        {site: "server { lisen 80; }", tmp_path / "answer.inc": None},
        answers("http", Address(host="127.0.0.1", port=port), path="/kept"),
    )


def test_uwsgi_comes_back(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "kept_app.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"
    )
    base = tmp_path / "base.ini"
    base.write_text("[uwsgi]\nmodule = kept_app:application\npythonpath = %d\nneed-app = true\n")
    config = tmp_path / "web.ini"
    config.write_text(
        f"[uwsgi]\nini = base.ini\nhttp-socket = 127.0.0.1:{port}\nvacuum = true\npidfile = %dpid\n"
    )

    comes_back(
        spec_of(uwsgi.KIND, config, program("uwsgi")),
        {base: None, config: "[uwsgi]\nini = base.ini\n"},
        answers("http", Address(host="127.0.0.1", port=port)),
    )


def test_redis_comes_back(tmp_path: Path) -> None:
    port = free_port()
    secret = tmp_path / "secret.conf"
    secret.write_text("requirepass 'it is \"kept\"'\n")
    config = tmp_path / "redis.conf"
    config.write_text(f'bind 127.0.0.1\nport {port}\ndir .\nsave ""\ninclude secret.conf\n')

    comes_back(
        spec_of(redis.KIND, config, program("redis-server")),
        {secret: "requirepass 'open"},
        answers("redis", Address(host="127.0.0.1", port=port), password='it is "kept"'),
    )


def test_mysqld_comes_back(tmp_path: Path) -> None:
    port = free_port()
    data = install_mariadb(tmp_path / "data")
    (tmp_path / "conf.d").mkdir()
    own = tmp_path / "conf.d" / "own.cnf"
    own.write_text(f"[mariadb]\nport = {port}\nsocket = {tmp_path}/sock\n")
    config = tmp_path / "my.cnf"
    config.write_text(
        f"[mysqld]\ndatadir = {data}\nuser = {Path(data).owner()}\nbind-address = 127.0.0.1\n"
        "innodb-log-file-size = 4M\ninnodb-buffer-pool-size = 8M\n"
        f"pid-file = {tmp_path}/pid\n!includedir conf.d\n"
    )

    comes_back(
        spec_of(mysqld.KIND, config, program("mariadbd")),
        {own: "[mysqld]\nprot = 3306\n"},
        answers("mysql", Address(host="127.0.0.1", port=port)),
    )
