"""From a command line of `stackctl top` to a screen, or to why there is none."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from supervisor_stack.cli.options import Options
from supervisor_stack.cli.target import connect
from supervisor_stack.errors import RequestError, StackError

_OLDEST = 8
"""Of textual's major versions. Debian 12 has 0.1."""
_WITHOUT = "without it: stackctl status --watch"


def top(options: Options) -> int:
    """The stack on the whole terminal, until somebody quits."""
    if options.json:
        raise RequestError("cannot show top as JSON: it is for people", ("use: stackctl --json status",))
    _require_terminal()
    _require_textual()
    connect(options).close()  # what is wrong from the start is told as by any other verb
    if options.no_color:
        os.environ["NO_COLOR"] = "1"
    from supervisor_stack.cli.top.app import Top

    app = Top(lambda: connect(options), options.period)
    app.run()
    return app.return_code or 0


def _require_terminal() -> None:
    # The keys come from stdin, and textual draws on stderr.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not stream.isatty():
            name = stream.name.strip("<>")
            detail = ("use: stackctl status, or for programs: stackctl --json status",)
            raise StackError(f"cannot show top: {name} is not a terminal", detail)
    if os.environ.get("TERM", "dumb") == "dumb":
        raise StackError("cannot show top: this terminal cannot move its cursor (TERM=dumb)", (_WITHOUT,))


def _require_textual() -> None:
    # Into the same Python: that is where this program looks for it.
    pip = Path(sys.executable).with_name("pip")
    install = f"install it with: {pip} install 'textual>={_OLDEST},<{_OLDEST + 1}'"
    try:
        found = version("textual")
    except PackageNotFoundError:
        raise StackError("cannot show top: textual is not installed", (install, _WITHOUT)) from None
    if int(found.partition(".")[0]) < _OLDEST:
        raise StackError(f"cannot show top: textual {found} is too old", (install, _WITHOUT))
