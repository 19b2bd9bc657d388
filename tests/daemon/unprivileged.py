"""stackd as another user than root, whom limits do not hold."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.stack import RunningStack

# Nobody else's, so that what is counted for each user is counted for the test alone.
USER = 54321

# It still gets to the files of the test and to the checkout, wherever they are.
SETPRIV = (
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "--inh-caps=-all,+dac_override,+dac_read_search",
    "--ambient-caps=-all,+dac_override,+dac_read_search",
    "--bounding-set=-all,+dac_override,+dac_read_search",
)


def unprivileged(*argv: str) -> list[str]:
    """The command as it is run by a user without privileges; the tests may be run by one."""
    return [*(SETPRIV if os.geteuid() == 0 else ()), *argv]


def start(stack: RunningStack) -> RunningStack:
    """Start its stackd so."""
    with stack.output.open("ab") as output:
        argv = unprivileged(sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(stack.config))
        return stack.attached_to(subprocess.Popen(argv, stdout=output, stderr=output, env=stack.env))
