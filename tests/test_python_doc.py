"""The examples of docs/python.md, run as they stand on a real stackd, and judged by mypy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stack import DEADLINE, RunningStack

DOCUMENT = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
SERVICES = """
[services.db]
command = ["sleep", "1000"]

[services.web]
command = ["sleep", "1000"]
requires = ["db"]
backoff = { initial = 0.05 }

[services.migrate]
type = "task"
command = ["true"]
autostart = false
"""


class Example(NamedTuple):
    """A program, and what it prints; None: the document does not say."""

    program: str
    prints: str | None


def examples() -> list[Example]:
    found = re.findall(r"^```(python|text)\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    return [
        Example(text, following[1] if following[0] == "text" else None)
        for (language, text), following in zip(found, [*found[1:], ("", "")], strict=True)
        if language == "python"
    ]


EXAMPLES = examples()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    # `stack.name` is that of the document.
    with RunningStack(tmp_path, SERVICES) as stack:
        stack.until_up()
        yield stack


def environment(stack: RunningStack) -> dict[str, str]:
    return os.environ | {"STACKD_CONFIG": str(stack.config)}


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "while True" not in each.program])
def test_an_example_does_what_it_says(stack: RunningStack, example: Example) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.program],
        env=environment(stack), check=False, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, "")
    if example.prints is not None:
        assert ran.stdout == example.prints.replace("shop", "test")


def test_the_watcher_tells_what_breaks_also_under_the_next_stackd(stack: RunningStack) -> None:
    (watcher,) = [each for each in EXAMPLES if "while True" in each.program]
    told = stack.folder / "told"
    with (
        told.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-c", watcher.program], env=environment(stack), stdout=output
        ) as process,
    ):
        try:
            breaks(stack, "web", told)
            stack.die()
            stack.come_back()
            stack.until_up()
            breaks(stack, "db", told)
        finally:
            process.terminate()

    assert re.search(r"^\S+Z web backoff killed by SIGKILL", told.read_text(), re.MULTILINE)
    assert re.search(r"^\S+Z db backoff killed by SIGKILL", told.read_text(), re.MULTILINE)


def breaks(stack: RunningStack, name: str, told: Path) -> None:
    """Kill a service until the watcher has told it: nobody tells when it has begun to watch."""
    while f" {name} backoff" not in told.read_text():
        run = stack.service(name).run
        stack.kill(name)
        stack.until_run(name, run + 1)


def test_the_examples_are_typed_as_the_package_is(tmp_path: Path) -> None:
    # In a folder of their own: mypy has to find the package as it is installed, by its py.typed.
    for number, example in enumerate(EXAMPLES):
        (tmp_path / f"example_{number}.py").write_text(example.program)

    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unreachable", "--config-file=", "."],
        cwd=tmp_path, check=False, capture_output=True, text=True,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout + ran.stderr
