"""From starting stackd to HTTP 200 through nginx from a page that asks the database.

    python -m benchmarks.stack_start [ROUNDS]

Beside it, in the same rounds, the same four servers started by ideal_start.py. The data directory is
warm, and the one-shot `migrate` of the example is left out of both.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import machine, row
from supervisor_stack.config import load
from supervisor_stack.daemon.launch import identity
from supervisor_stack.daemon.protocols import uwsgi
from supervisor_stack.spec import ProbeSpec

ROOT = Path(__file__).parent.parent
PORTS = {"HTTP_PORT": "21400", "UWSGI_PORT": "21401", "MYSQL_PORT": "21402", "REDIS_PORT": "21403"}

CONVERSATIONS = {
    "mysqld": (b"", b"\x0a"),
    "redis": (b"AUTH 12345\r\nPING\r\n", b"+PONG"),
    "uwsgi": (uwsgi.packet(ProbeSpec(type="uwsgi", host="127.0.0.1")), b"HTTP/1.1 200"),
    "nginx": (b"GET /static/site.css HTTP/1.0\r\n\r\n", b"HTTP/1.1"),
}


@contextmanager
def example_site() -> Iterator[Path]:
    """The example, installed, migrated once, and without its task."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    env = os.environ | PORTS | {"VENV": sys.prefix, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    try:
        subprocess.run(["sh", ROOT / "examples/br_api/install", folder], env=env, check=True)
        with stackd(folder):
            wait_for_page(600)
        config = folder / "stackd.toml"
        text = re.sub(r"\[services\.migrate\].*?\n\n", "", config.read_text(), flags=re.DOTALL)
        config.write_text(text.replace(', "migrate"', ""))
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End it, and wait until it has."""
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stackd(folder: Path) -> Iterator[None]:
    """The site under stackd."""
    argv = [sys.executable, "-m", "supervisor_stack.cli.stackd", "-c", str(folder / "stackd.toml")]
    with ended(subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)):
        yield


@contextmanager
def by_hand(folder: Path) -> Iterator[None]:
    """The site under the script."""
    argv = [sys.executable, str(ROOT / "benchmarks/ideal_start.py"), str(folder / "ideal.json")]
    with ended(subprocess.Popen(argv)):
        yield


def describe(folder: Path) -> None:
    """Tell the script what stackd knows: the same commands, users and environments."""
    services = []
    for spec in load(folder / "stackd.toml", os.environ).services:
        who = identity(spec)
        address = spec.ready.address if spec.ready and spec.ready.address else None
        where = (address.path or [address.host, address.port]) if address else ["127.0.0.1", 21400]
        say, hear = CONVERSATIONS[spec.name]
        services.append(
            {"name": spec.name, "argv": spec.argv, "env": spec.env, "cwd": spec.cwd, "user": who.user}
            | {"group": who.group, "needs": spec.requires, "stop": spec.stop_signal, "address": where}
            | {"say": say.hex(), "hear": hear.hex()}
        )
    (folder / "ideal.json").write_text(json.dumps(services))


def wait_for_page(seconds: float = 60) -> None:
    """Until the database page is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", int(PORTS["HTTP_PORT"]), timeout=10)
        try:
            connection.request("GET", "/db")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.002)
        finally:
            connection.close()
    raise TimeoutError("the page does not come")


def main() -> None:
    """Both in turn, so that a busy moment hits both."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    machine()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    figures: dict[str, list[float]] = {"stackd": [], "by hand": []}
    with example_site() as folder:
        describe(folder)
        for _ in range(rounds):
            for name, run in (("stackd", stackd), ("by hand", by_hand)):
                begun = time.monotonic()
                with run(folder):
                    wait_for_page()
                    figures[name].append((time.monotonic() - begun) * 1000)
    for name, values in figures.items():
        row(f"start to the first database page, {name}", values)


if __name__ == "__main__":
    main()
