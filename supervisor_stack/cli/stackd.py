"""The command `stackd`: read the configuration, then run the stack in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from supervisor_stack import __version__
from supervisor_stack.errors import ConfigError, InUseError, StackError

DEFAULT_CONFIG = "/etc/stackd/stackd.toml"

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""Log levels, with the priorities that journald reads at the start of a line (sd-daemon(3))."""


def main() -> int:
    """Run stackd; returns its exit status (sysexits.h where it has a number for the cause)."""
    options = _parser().parse_args()
    _open_log(options.log_level)
    from supervisor_stack.config import load

    try:
        spec = load(options.config, os.environ)
    except ConfigError as error:
        if options.check:
            print(*error.detail or (error.message,), sep="\n")
        else:
            _tell(error)
        return os.EX_CONFIG
    if options.check:
        return os.EX_OK
    from supervisor_stack.daemon.daemon import run

    try:
        run(spec, os.environ)
    except InUseError as error:
        _tell(error)
        return os.EX_CANTCREAT
    except StackError as error:
        _tell(error)
        return 1
    return os.EX_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stackd", description="Runs a web stack: starts, watches, restarts and stops its services."
    )
    parser.add_argument("-c", "--config", metavar="FILE", default=DEFAULT_CONFIG, help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="judge the configuration, start nothing")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="default: %(default)s")
    parser.add_argument("--version", action="version", version=f"stackd {__version__}")
    return parser


def _open_log(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    # journald sets JOURNAL_STREAM for what it listens to, and wants a priority instead of a time.
    journal = "JOURNAL_STREAM" in os.environ
    form = "<%(priority)d>%(message)s" if journal else "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(form))
    handler.addFilter(_add_priority)
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _add_priority(record: logging.LogRecord) -> bool:
    record.priority = LEVELS.get(record.levelname.lower(), 2)
    return True


def _tell(error: StackError) -> None:
    print(f"stackd: {error.message}", *(f"  {line}" for line in error.detail), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
