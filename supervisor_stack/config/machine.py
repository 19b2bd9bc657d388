"""What the configuration asks of this machine: its programs, its files, its users.

It only looks: nothing here changes anything.
"""

from __future__ import annotations

import errno
import glob
import grp
import mmap
import os
import pwd
import stat
from pathlib import Path

from supervisor_stack.config.values import absolute

# Servers live in sbin, which the PATH of an ordinary user lacks on Debian.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# As execvp(3) does without a PATH; confstr(_CS_PATH) is this on glibc.
DEFAULT_PATH = "/bin:/usr/bin"
MAX_READ = 16 * 1024 * 1024


class DiskFiles:
    """The files of this machine, for the kinds, which do no I/O themselves."""

    def read(self, path: str) -> str:
        """The text of a regular file; bytes that are not UTF-8 become replacement characters.

        Raises OSError, also for what is no regular file: a FIFO would never end, nor would /dev/zero.
        """
        with os.fdopen(_open_regular(path), "rb") as file:
            return file.read(MAX_READ).decode(errors="replace")

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        return sorted(glob.glob(pattern))  # noqa: PTH207  # a Path would rewrite what the user wrote

    def shebang(self, path: str) -> str:
        """The interpreter of a script, or an empty string for anything else."""
        try:
            with os.fdopen(_open_regular(path), "rb") as file:
                line = file.readline(256).decode(errors="replace")
        except OSError:
            return ""
        return next(iter(line.removeprefix("#!").split()), "") if line.startswith("#!") else ""

    def imports(self, path: str, function: str) -> bool:
        """Whether a program takes a function from a shared library, by a name that begins so.

        The name stands in .dynstr then, between zeros (elf(5)). Cheaper than to run the program, and to
        know its version: 1 ms for the mariadbd of Debian (26 MB), 15 ms for one of that size without it.
        """
        try:
            with (
                os.fdopen(_open_regular(path), "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image,
            ):
                return image[:4] == b"\x7fELF" and image.find(b"\0" + function.encode()) >= 0
        except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
            return False


def _open_regular(path: str) -> int:
    # O_NONBLOCK: open(2) of a FIFO waits for a writer otherwise, for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return file


def problem_of_file(path: str) -> str:
    """Why a file cannot be read, or an empty string."""
    try:
        os.close(_open_regular(path))
    except OSError as error:
        return reason(error)
    return ""


def problem_of_folder(path: str) -> str:
    """Why nothing can be started in a folder, or an empty string."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return reason(error)
    if not stat.S_ISDIR(mode):
        return "not a folder"
    return "" if os.access(path, os.X_OK) else "permission denied"


def problem_of_program(path: str) -> str:
    """Why a program cannot be started, or an empty string."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return reason(error)
    if not stat.S_ISREG(mode):
        return "not a program"
    return "" if os.access(path, os.X_OK) else "not executable"


def problem_of_watched(path: str) -> str:
    """Why a path cannot be watched as one file, or an empty string. The file itself may come later."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        is_pattern = glob.has_magic(path)
        return f"{path} is a pattern; write the files that it stands for, one by one" if is_pattern else ""
    except OSError as error:
        return f"cannot watch {path}: {reason(error)}; write the path of a file"
    return f"{path} is a folder; write the files in it, one by one" if stat.S_ISDIR(mode) else ""


def reason(error: OSError) -> str:
    """What went wrong, as it stands in the middle of a sentence."""
    return (error.strerror or str(error)).lower()


def search_path(path: str, cwd: str) -> tuple[str, ...]:
    """The folders of a PATH, and of those that servers live in; relative ones are below `cwd`."""
    folders = (absolute(folder, cwd) for folder in (path or DEFAULT_PATH).split(":"))
    return tuple(dict.fromkeys((*folders, *SBIN)))


def find_program(name: str, folders: tuple[str, ...]) -> str:
    """The path of a program, or an empty string. Symlinks stay: a virtualenv is known by them."""
    paths = (f"{folder}/{name}" for folder in folders)
    return next((path for path in paths if not problem_of_program(path)), "")


def umask() -> int:
    """The file mode creation mask of this process; to ask for it by umask(2) is to change it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1], 8) for line in status.splitlines() if line.startswith("Umask:"))


def user_id(name: str) -> int | None:
    """The number of a user, None when there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def group_id(name: str) -> int | None:
    """The number of a group, None when there is no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None
