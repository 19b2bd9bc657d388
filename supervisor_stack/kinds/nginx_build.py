"""How an nginx was built, as `nginx -V` tells: what it takes where its configuration says nothing.

OpenResty, Tengine and others that are made of nginx tell it in the same words.
"""

from __future__ import annotations

import posixpath
import re

from supervisor_stack.spec import Spec

_ARGUMENTS = re.compile(r"^configure arguments:(.*)", re.MULTILINE)

# auto/options puts single quotes around a value with a space in it, and escapes nothing.
_OPTION = re.compile(r"--(?P<name>[\w-]+)(?:=(?:'(?P<quoted>[^']*)'|(?P<bare>\S*)))?")

# auto/options and auto/configure of nginx. Of a fork that says `Angie version` they are others.
_DEFAULTS = {"prefix": "/usr/local/nginx", "pid-path": "logs/nginx.pid"}


class Build(Spec, frozen=True, kw_only=True):
    """What is compiled in, empty for what is unknown.

    `prefix`: what relative names are relative to, without -p. `pid_path`: of its pid file.
    """

    prefix: str = ""
    pid_path: str = ""


def built(told: str, cwd: str) -> Build:
    """What the output of `nginx -V` says, for an nginx that is started in this folder."""
    arguments = _ARGUMENTS.search(told)
    if not arguments:
        return Build()
    options = dict(_DEFAULTS) if "nginx version: " in told else {}
    for each in _OPTION.finditer(arguments[1]):
        options[each["name"]] = each["quoted"] or each["bare"] or ""
    prefix = options.get("prefix")
    return Build(
        # Built with `--prefix=`, it takes the folder that it is started in (ngx_process_options()).
        prefix="" if prefix is None else posixpath.join(cwd, prefix),
        pid_path=options.get("pid-path", ""),
    )
