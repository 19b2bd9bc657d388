"""The verb check: the configuration, and each service's own test of its own. Needs no stackd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import NamedTuple

from supervisor_stack import config
from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import emit, emit_error, say_all, tell, tell_error
from supervisor_stack.cli.render import harmless
from supervisor_stack.cli.shapes import Checked
from supervisor_stack.cli.target import config_file
from supervisor_stack.errors import ConfigError
from supervisor_stack.spec import Check, ServiceSpec

_EVIDENCE_LINES = 20
_DENIED = "ermission denied"


class Verdict(NamedTuple):
    """What a service's own test said. `cause` empty: all is well."""

    service: ServiceSpec
    cause: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def is_denied(self) -> bool:
        """Whether the test could not do what the service can."""
        return bool(self.cause) and any(_DENIED in line for line in self.evidence)

    def left_to_root(self) -> str:
        """That this test has to be made by somebody else."""
        why = next(line.strip() for line in self.evidence if _DENIED in line)
        return f"{self.service.config}: services.{self.service.name}: not tested: you are not root: {why}"

    def lines(self) -> Iterator[str]:
        """The mistake, with its place, and what the test told."""
        if self.cause:
            name, file = self.service.name, self.service.config
            yield f"{file}: services.{name}: configuration test failed ({self.cause})"
            yield from (f"  {line}" for line in self.evidence)


def check(options: Options) -> int:
    """Judge the configuration; every mistake is a line of stdout, and what cannot be judged one of stderr."""
    path = config_file(options)
    try:
        stack, unjudged = config.judge(path, os.environ)
        with_test = [service for service in stack.services if service.check]
        with ThreadPoolExecutor(max_workers=len(with_test) or 1) as pool:
            verdicts = list(pool.map(judge, with_test))
        # Only root can run this stack; what root may read says nothing of its files.
        denied = [verdict for verdict in verdicts if unjudged and verdict.is_denied]
        _raise_if_any(path, [verdict for verdict in verdicts if verdict not in denied])
    except ConfigError as error:
        if options.json:
            emit_error(error)
        else:
            say_all(error.detail)
            tell_error(ConfigError(error.message))
        return error.exit_code
    names = tuple(verdict.service.name for verdict in verdicts if verdict not in denied)
    unjudged += tuple(verdict.left_to_root() for verdict in denied)
    if options.json:
        services = tuple(service.name for service in stack.services)
        emit(Checked(config=path, services=services, tested=names, unjudged=unjudged))
    else:
        for line in unjudged:
            tell(harmless(line))
        tell(f"{path}: no mistakes; tested by themselves: {', '.join(names) or 'none'}")
    return 0


def _raise_if_any(path: str, verdicts: list[Verdict]) -> None:
    lines = tuple(line for verdict in verdicts for line in verdict.lines())
    if lines:
        failed = ", ".join(verdict.service.name for verdict in verdicts if verdict.cause)
        raise ConfigError(f"cannot use the configuration {path}: {failed} does not pass its own test", lines)


def judge(service: ServiceSpec) -> Verdict:
    """Have a service test its own configuration, in the time that it has for that."""
    test = service.check
    if test is None:
        return Verdict(service)
    command = " ".join(PurePath(word).name for word in test.argv[:2])
    try:
        ran = _run(service, test)
    except subprocess.TimeoutExpired:
        return Verdict(service, f"{command} did not end within {test.timeout:g} s")
    except OSError as error:
        return Verdict(service, f"cannot execute {test.argv[0]}: {error.strerror}")
    if ran.returncode == 0:
        return Verdict(service)
    evidence = test.evidence(ran.stderr) if test.evidence else ()
    told = evidence or tuple(ran.stderr.splitlines()[-_EVIDENCE_LINES:])
    return Verdict(service, f"{command} exited {ran.returncode}", told)


def _run(service: ServiceSpec, test: Check) -> subprocess.CompletedProcess[str]:
    """As stackd would run it, as far as this user may."""
    env = {key: value for key, value in os.environ.items() if key not in test.without_env} | service.env
    is_root = os.geteuid() == 0
    return subprocess.run(
        test.argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=test.timeout,
        cwd=service.cwd,
        env=env,
        user=(service.user or None) if is_root else None,
        group=(service.group or None) if is_root else None,
    )
