"""The kinds of server that stackd knows, by the name that stackd.toml gives them."""

from __future__ import annotations

from supervisor_stack.kinds import command, mysqld, nginx, redis, uwsgi
from supervisor_stack.kinds.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (mysqld.KIND, redis.KIND, uwsgi.KIND, nginx.KIND, command.KIND)
}
