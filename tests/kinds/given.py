"""What a kind is given: files as a dictionary, and the rest by default."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase

from supervisor_stack.kinds.base import Given

PROJECT = "/home/project/br_api"


class TextFiles:
    """Files that exist only here; `scripts` are those that begin with #!, by their interpreter."""

    def __init__(self, texts: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> None:
        self._texts = texts
        self._scripts = scripts or {}

    def read(self, path: str) -> str:
        if path not in self._texts:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._texts[path]

    def glob(self, pattern: str) -> list[str]:
        return sorted(path for path in self._texts if fnmatchcase(path, pattern))

    def shebang(self, path: str) -> str:
        return self._scripts.get(path, "")


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
) -> Given:
    """The input of a kind's learn()."""
    return Given(
        name="server",
        binary=binary,
        config=config,
        args=args,
        user=user,
        env=dict(env or {}),
        files=TextFiles(files, scripts),
        cwd=cwd,
        as_root=as_root,
        has_ready=has_ready,
    )
