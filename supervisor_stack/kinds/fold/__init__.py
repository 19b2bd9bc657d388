"""How the configuration of a server becomes one file that means the same: text in, text out.

A fold never guesses: what it cannot fold with certainty is no copy at all, with the reason.
"""

from __future__ import annotations

from supervisor_stack.kinds.fold import mysqld, nginx, redis, uwsgi
from supervisor_stack.kinds.fold.base import Fold

FOLDS: dict[str, Fold] = {
    "nginx": nginx.FOLD,
    "uwsgi": uwsgi.FOLD,
    "redis": redis.FOLD,
    "mysqld": mysqld.FOLD,
}
"""By `ServiceSpec.copy`."""
