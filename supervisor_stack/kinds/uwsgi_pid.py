"""The pid files of uWSGI, which it does not write under stackd (`env` in uwsgi.py says why).

`uwsgi --reload FILE`, `uwsgi --stop FILE` and scripts read them. Where and as whom uWSGI writes each is in
core/uwsgi.c: uwsgi_setup() and uwsgi_start() (2.0.31).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from supervisor_stack.kinds.base import Given
from supervisor_stack.kinds.uwsgi_ini import Options
from supervisor_stack.spec import PidFile

# With these the master is still root when it writes the files that come after the drop of privileges.
_DROPS_LATE = ("master-as-root", "chown-socket", "drop-after-init", "drop-after-apps")


def pid_files(given: Given, options: Options) -> Iterator[PidFile]:
    """Those that its configuration names, each with whom uWSGI would write it as."""
    folder = posixpath.join(given.cwd, options.last("chdir"))
    first = _user(given, options, "immediate-")
    is_root = any(map(options.is_on, _DROPS_LATE))
    late = first if any(first) or is_root else _user(given, options, "")
    places = (
        ("pidfile", given.cwd, first),  # before chdir()
        ("pidfile2", folder, late),
        ("safe-pidfile", folder, first),
        ("safe-pidfile2", folder, late),
    )
    for option, where, (user, group) in places:
        if path := options.last(option):
            yield PidFile(path=posixpath.join(where, path), user=user, group=group)


def _user(given: Given, options: Options, when: str) -> tuple[str, str]:
    """Whom it becomes; only root can."""
    if not given.as_root:
        return "", ""
    return options.last(f"{when}uid"), options.last(f"{when}gid")
