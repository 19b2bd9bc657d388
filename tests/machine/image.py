"""What a throw-away machine is made of: an image of Debian, and the Python packages that are installed in it.

Both are made once and kept: `python -m tests.machine.image` makes what is missing. Whoever wants them new
removes the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CACHE = Path("/var/cache/supervisor-stack/machine")

# systemd as pid 1, the four servers, and what script/install says that it needs.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "procps", "iproute2", "python3-venv"),
    *("nginx", "mariadb-server", "redis-server"),
)

# The servers of the distribution are off, as script/server leaves them; the rest would only take time.
MASKED = (
    *("mariadb.service", "nginx.service", "redis-server.service"),
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "fstrim.timer",
    ),
    *("systemd-timesyncd.service", "console-getty.service"),
)

# debootstrap copies these of the machine that it runs on. Nothing outside is known inside.
FILES = {
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n::1 localhost\n",
    "etc/resolv.conf": "",
}


class ImageError(Exception):
    """An image or the packages could not be made; the text says why."""


def image() -> Path:
    """The root file system of a bare machine; the first call takes about a minute and some network."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    name = f"{release}-{_word(*PACKAGES, *MASKED, *FILES.values())}"
    with _lock():
        made = CACHE / name
        if not made.exists():
            _clear(f"{release}-*")
            _make_image(CACHE / f"{name}.new", release)
            (CACHE / f"{name}.new").rename(made)
    return made


def wheels() -> Path:
    """A folder with all that pip needs to install this project, and the example site, without network."""
    needed = (ROOT / "pyproject.toml").read_text()
    name = f"wheels-{_word(needed, sys.version)}"
    with _lock():
        made = CACHE / name
        if not made.exists():
            _clear("wheels-*")
            new = CACHE / f"{name}.new"
            # What makes a wheel of a checkout (pyproject.toml: build-system, and the hook of the wheel).
            build = ("hatchling", "markdown-it-py")
            _run([sys.executable, "-m", "pip", "wheel", f"--wheel-dir={new}", f"{ROOT}[example]", *build])
            # It is made inside, of the checkout that is pushed.
            for own in new.glob("supervisor_stack-*"):
                own.unlink()
            new.rename(made)
    return made


def _make_image(new: Path, release: str) -> None:
    mirror, keyring = _mirror(release)
    _run(
        [
            *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *((f"--keyring={keyring}",) if keyring else ()),
            *(release, str(new), mirror),
        ],
        env=os.environ | _proxy(),
    )
    for unit in MASKED:
        (new / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for path, text in FILES.items():
        (new / path).unlink(missing_ok=True)
        (new / path).write_text(text)
    shutil.rmtree(new / "var/cache/apt", ignore_errors=True)


def _mirror(release: str) -> tuple[str, str]:
    """Where apt gets this release from, and the key that signs it, if apt's sources name one."""
    # apt-get(8), indextargets: what is configured, in whatever form it is written.
    told = _run(
        [
            *("apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(SITE) $(SIGNED_BY)"),
            "Created-By: Packages",
        ]
    )
    for line in told.splitlines():
        codename, component, site, key = line.split(maxsplit=3)
        if (codename, component) == (release, "main"):
            return site, key if key.startswith("/") else ""
    raise ImageError(f"cannot make a machine: apt has no source of {release} main; it has\n{told}")


def _proxy() -> dict[str, str]:
    """debootstrap downloads with wget, which does not read apt's configuration."""
    told = _run(["apt-config", "shell", "http_proxy", "Acquire::http::Proxy"])
    return dict(line.replace("'", "").split("=", 1) for line in told.splitlines() if "=" in line)


def _run(argv: Sequence[str], env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=env, timeout=900)
    except FileNotFoundError:
        raise ImageError(
            f"cannot make a machine: {argv[0]} is not installed; script/test installs it"
        ) from None
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-20:]
        raise ImageError("\n".join((f"cannot make a machine: {argv[0]} exited {done.returncode}", *lines)))
    return done.stdout


@contextmanager
def _lock() -> Iterator[None]:
    """Two who begin at once make it once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clear(pattern: str) -> None:
    """Remove what was made for an earlier need, or not to its end."""
    for old in CACHE.glob(pattern):
        shutil.rmtree(old)


def _word(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


if __name__ == "__main__":
    try:
        image()
        wheels()
    except ImageError as error:
        sys.exit(str(error))
