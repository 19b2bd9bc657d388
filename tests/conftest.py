"""What holds for all tests: none leaves a process behind, and none fails because the machine is busy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import hypothesis
import psutil
import pytest

# Inherited by all that a test starts, and by what that starts: daemonizing does not hide a process from us.
MARK = "SUPERVISOR_STACK_TEST_RUN"

# By default an example that takes 200 ms fails. How long one takes says more of the machine than of the code.
# In CI the same examples come every time: what fails there fails on the desk as well, where they vary.
hypothesis.settings.register_profile("busy machine", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("busy machine")

left_behind = pytest.StashKey[list[str]]()


def pytest_configure() -> None:
    os.environ[MARK] = str(os.getpid())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what tests forgot, and let the run fail for it."""
    session.config.stash[left_behind] = found = []
    for process, environ in marked_processes():
        test = environ.get("PYTEST_CURRENT_TEST", "no test")
        found.append(f"pid {process.pid} ({process.name()}) of {test}")
        process.kill()
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left behind."""
    for line in config.stash.get(left_behind, []):
        terminalreporter.line(f"LEFT BEHIND: {line}", red=True)


def marked_processes() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """The processes of this run, apart from this one, that are still alive."""
    for process in psutil.process_iter():
        # Kernel threads, processes of others and those that end meanwhile.
        with contextlib.suppress(psutil.Error):
            environ = process.environ()
            if environ.get(MARK) == str(os.getpid()) and process.pid != os.getpid():
                yield process, environ
