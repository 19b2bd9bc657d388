"""What a kind is given: files as a dictionary, and the rest by default."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from supervisor_stack.kinds.base import Given
from supervisor_stack.spec import Address

PROJECT = "/home/project/br_api"


class TextFiles:
    """Files that exist only here; `scripts` are those that begin with #!, by their interpreter.

    `functions`: what a program takes from shared libraries, by its path.
    """

    def __init__(
        self,
        texts: Mapping[str, str],
        scripts: Mapping[str, str] | None = None,
        functions: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._texts = texts
        self._scripts = scripts or {}
        self._functions = functions or {}

    def read(self, path: str) -> str:
        if path not in self._texts:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._texts[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(path for path in self._texts if fnmatchcase(path, pattern))

    def shebang(self, path: str) -> str:
        return self._scripts.get(path, "")

    def imports(self, path: str, function: str) -> bool:
        return any(name.startswith(function) for name in self._functions.get(path, ()))


def given(
    config: str,
    files: Mapping[str, str],
    *args: str,
    binary: str = "/usr/sbin/server",
    scripts: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    user: str = "",
    cwd: str = PROJECT,
    as_root: bool = False,
    has_ready: bool = False,
    hold: tuple[Address, ...] | None = None,
    functions: tuple[str, ...] = (),
) -> Given:
    """The input of a kind's learn()."""
    return Given(
        name="server",
        binary=binary,
        config=config,
        args=args,
        user=user,
        env=dict(env or {}),
        files=TextFiles(files, scripts, {binary: functions}),
        cwd=cwd,
        as_root=as_root,
        has_ready=has_ready,
        hold=hold,
    )
