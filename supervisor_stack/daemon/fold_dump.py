"""A process of its own that folds what a configuration test printed: `python -m ... STYLE CONFIG CWD DUMP`.

Folding 1 MB of nginx's files takes a second of Python. In a thread of the daemon that would hold up the
loop for up to 90 ms at a time (mostly the garbage collector) and leave 8 MB behind; here it costs the
daemon nothing, and nginx-crossplane is never imported there. The copy goes to stdout, a reason why
there is none to stderr.

It reads no configuration file, only the dump: what the service may not read does not get into its copy.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping

from supervisor_stack.kinds.fold import FOLDS
from supervisor_stack.kinds.fold.base import FoldError
from supervisor_stack.kinds.nginx_dump import matches, split


class Dump:
    """The files of a dump, as a Source."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def read(self, path: str) -> str:
        """The text of a file."""
        if path not in self._texts:
            raise FileNotFoundError(errno.ENOENT, "not among the files that the server read", path)
        return self._texts[path]

    def glob(self, pattern: str) -> list[str]:
        """The files that match, sorted."""
        return sorted(path for path in self._texts if matches(path, pattern))

    def real(self, path: str) -> str:
        """The path, as a dump has no links."""
        return path


def main(style: str, config: str, cwd: str, dump: str) -> int:
    """Print the copy; returns the exit code."""
    with open(dump, encoding="utf-8", newline="") as file:
        texts = split(file.read())
    try:
        text = FOLDS[style].fold(config, Dump(texts), cwd)
    except FoldError as problem:
        sys.stderr.write(str(problem))
        return 1
    sys.stdout.buffer.write(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
