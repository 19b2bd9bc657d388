"""The command `stackd`: read the configuration, then run the stack in the foreground."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Sequence

from supervisor_stack import __version__
from supervisor_stack.daemon.signals import HEARD
from supervisor_stack.errors import ConfigError, InUseError, StackError
from supervisor_stack.spec import StackSpec

DEFAULT_CONFIG = "/etc/stackd/stackd.toml"


def main() -> int:
    """Run stackd; returns its exit status (sysexits.h where it has a number for the cause)."""
    gc.disable()  # until there can be garbage: what is imported and configured stays
    _open_standard_streams()
    options = parser().parse_args()
    if not (options.check or options.rehearse):
        # What comes before the daemon listens waits for it. By default it would end stackd, and leave
        # services of an earlier one running that were to be stopped.
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        spec, warning = _configuration(options)
    except ConfigError:
        return os.EX_CONFIG
    if options.check:
        return os.EX_OK
    # asyncio does without ssl where Python was built without it. It costs 8 ms and 2 MB, at a time when
    # nothing runs yet, and stackd opens no TLS connection.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from supervisor_stack.cli.log import Log
    from supervisor_stack.daemon.daemon import rehearse, run

    if options.rehearse:
        return _report(rehearse(spec))
    log = Log(options.log_level)
    gc.freeze()
    gc.enable()
    successor = None
    try:
        successor = run(spec, os.environ, warning)
    except InUseError as error:
        _tell(error)
        return os.EX_CANTCREAT
    except StackError as error:
        _tell(error)
        return 1
    except OSError as error:
        print(f"stackd: cannot start: {error}", file=sys.stderr)
        return 1
    finally:
        log.close()
    if successor:
        successor.execute()
    return os.EX_OK


def _configuration(options: argparse.Namespace) -> tuple[StackSpec, str]:
    """What to run, and what is to be said with it. Raises ConfigError, which has been told."""
    from supervisor_stack import config

    try:
        if options.check:
            stack, unjudged = config.judge(options.config, os.environ)
            print(*unjudged, sep="\n", end="\n" if unjudged else "", file=sys.stderr)
            return stack, ""
        return config.load(options.config, os.environ), ""
    except ConfigError as error:
        if options.check:
            _print_all(error.detail or (error.message,))
            raise
        _tell(error)
        from supervisor_stack.daemon.last_good import recall

        last_good = None if options.rehearse else recall(os.environ)
        if last_good is None:
            raise
        return (
            last_good,
            f"{options.config} is wrong: going on with the last good one; correct it, then: stackctl apply",
        )


def _print_all(lines: Sequence[str]) -> None:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:  # whoever reads has seen enough (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(problems: tuple[str, ...]) -> int:
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else os.EX_OK


def parser() -> argparse.ArgumentParser:
    """What a command line of stackd can say."""
    made = argparse.ArgumentParser(
        prog="stackd", description="Runs a web stack: starts, watches, restarts and stops its services."
    )
    made.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=DEFAULT_CONFIG,
        help="the configuration of the stack; default: %(default)s",
    )
    made.add_argument("--check", action="store_true", help="judge the configuration, start nothing")
    # What a running stackd asks of the one that is to take its place.
    made.add_argument("--rehearse", action="store_true", help=argparse.SUPPRESS)
    made.add_argument(
        "--log-level",
        type=str.lower,
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much it tells of itself; default: %(default)s",
    )
    made.add_argument("--version", action="version", version=f"stackd {__version__}")
    return made


def _open_standard_streams() -> None:
    """Whoever starts us without them would give their numbers to the next files that we open."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _tell(error: StackError) -> None:
    print(f"stackd: {error.message}", *(f"  {line}" for line in error.detail), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
