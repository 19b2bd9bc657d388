"""Outputs in a folder of their own, and real processes that print.

Run as a program it is a stackd that does nothing but move output, until it is killed:
`python -m tests.daemon.output.desk FOLDER PID MAX_BYTES KEEP`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from supervisor_stack.daemon.launch import Identity
from supervisor_stack.daemon.output.outputs import Outputs
from supervisor_stack.spec import Log, ServiceSpec

ROOT = Path(__file__).parents[3]

NAME = "app"


def spec(
    max_bytes: int = 0, keep: int = 5, to: Literal["file", "journal", "inherit", "null"] = "file"
) -> ServiceSpec:
    """A service whose log is rotated like this."""
    return ServiceSpec(name=NAME, argv=("app",), log=Log(to=to, max_bytes=max_bytes, keep=keep))


class Desk:
    """Outputs below `folder`, and what became of them. `kept`, `dropped`: what its hooks were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_dir = folder / "log"
        self.log_dir.mkdir(exist_ok=True)
        self.log = self.log_dir / f"{NAME}.log"
        self.fifo = folder / "run" / "output" / NAME
        self.kept: list[str] = []
        self.dropped: list[str] = []
        self.outputs = Outputs(
            str(folder / "run"),
            str(self.log_dir),
            lambda name, _: self.kept.append(name),
            self.dropped.append,
        )

    def run(self, *argv: str, service: ServiceSpec | None = None, name: str = NAME) -> None:
        """Run a command that prints into the log, to its end."""
        service = msgspec.structs.replace(service or spec(), name=name)
        with self.start(*argv, service=service) as process:
            pass
        assert process.returncode == 0

    def start(self, *argv: str, service: ServiceSpec | None = None) -> subprocess.Popen[bytes]:
        """Start a command that prints into the log."""
        output = self.outputs.open(service or spec(), Identity())
        with open(output, "wb", closefd=True) as file:  # noqa: PTH123 - a descriptor
            return subprocess.Popen(argv, stdout=file, stderr=file, cwd=ROOT)

    def text(self) -> str:
        """All that was printed, from the oldest file on."""
        return b"".join(path.read_bytes() for path in self.files()).decode()

    def files(self) -> list[Path]:
        """The log and what was rotated, the oldest first."""
        old = sorted(self.log_dir.glob(f"{NAME}.log.*"), key=lambda path: -int(path.suffix[1:]))
        return [*old, *([self.log] if self.log.exists() else [])]


def main() -> None:
    """Move the output of a process that runs already; says so, and never ends."""
    folder, pid, max_bytes, keep = sys.argv[1:]
    desk = Desk(Path(folder))
    assert desk.outputs.adopt(spec(int(max_bytes), int(keep)), int(pid))
    print("up", flush=True)  # noqa: T201 - this is how the test knows
    while True:
        time.sleep(1000)


if __name__ == "__main__":
    main()
