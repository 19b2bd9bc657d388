"""The real redis-server, run as its kind says."""

from __future__ import annotations

from pathlib import Path

from supervisor_stack.kinds.redis import KIND, learn
from supervisor_stack.spec import Address
from tests.kinds.real import free_ports, given_on_disk, running, wait_for_addresses
from tests.servers import program


def test_redis_stays_in_the_foreground_and_listens_where_its_file_says(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "data").mkdir()
    (tmp_path / "more-1.conf").write_text(f"port {port}\n")
    config = tmp_path / "redis.conf"
    config.write_text(
        "daemonize yes\nrequirepass '12345'\nport 1\ninclude more-*.conf\nbind 127.0.0.1 -192.0.2.1\n"
        f'save ""\nDIR {tmp_path}/data\nlogfile "redis.log"\nunixsocket redis.sock\n'
    )

    facts = learn(given_on_disk(config, program("redis-server")))

    tcp = Address(host="127.0.0.1", port=port)
    assert facts.addresses == (tcp, Address(path=f"{tmp_path}/data/redis.sock"))
    assert facts.logs == (f"{tmp_path}/data/redis.log",)
    with running(KIND, facts, tmp_path) as redis:
        wait_for_addresses(redis, (tcp, Address(path="redis.sock")), tmp_path)
    assert redis.returncode == 0
    assert (tmp_path / "data" / "redis.log").stat().st_size > 0
