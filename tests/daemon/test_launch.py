"""What is put before a command so that it runs as configured."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

from supervisor_stack.daemon.launch import chain
from supervisor_stack.spec import ServiceSpec

ROOT = Path(__file__).parents[2]


def test_who_is_the_user_already_does_not_change_to_it() -> None:
    script = (
        "from supervisor_stack.daemon.launch import chain\n"
        "from supervisor_stack.spec import ServiceSpec\n"
        "print(chain(ServiceSpec(name='app', argv=('app',), user='nobody')))"
    )
    number = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    done = subprocess.run(
        (sys.executable, "-c", script.replace("nobody", pwd.getpwuid(number).pw_name)),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        user=number,
    )

    assert done.stdout == "()\n"


def test_another_user_is_changed_to_last() -> None:
    words = chain(
        ServiceSpec(name="app", argv=("app",), user="nobody", nice=os.getpriority(os.PRIO_PROCESS, 0))
    )

    assert words[:3] == ("nice", "-n", "0")
    assert words[3] == "setpriv"
