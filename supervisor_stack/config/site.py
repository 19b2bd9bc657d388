"""What every part of the reading shares: the folders, the environment, the machine, the mistakes.

One Site serves one reading. It remembers what it looked up, as a stack asks for the same few programs,
users and files for each of its services; the next reading asks anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, cached_property

from supervisor_stack.config import machine
from supervisor_stack.config.lines import KeyPath
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.places import Places
from supervisor_stack.config.values import absolute
from supervisor_stack.config.words import toml


class Site:
    """The surroundings in which a configuration is read. `only_looks`: by somebody who is not to run it."""

    def __init__(
        self, places: Places, environ: Mapping[str, str], mistakes: Mistakes, *, only_looks: bool = False
    ) -> None:
        self.base_dir = places.base_dir
        self.runtime_dir = places.runtime_dir
        self.keys = places.keys
        self.environ = environ
        self.mistakes = mistakes
        self.only_looks = only_looks
        self.files = machine.DiskFiles()
        self.user_id = cache(machine.user_id)
        self.group_id = cache(machine.group_id)
        self.problem_of_folder = cache(machine.problem_of_folder)
        self.search_path = cache(self._search_path)
        self.read = cache(self.files.read)
        self._find_program = cache(machine.find_program)

    @cached_property
    def user(self) -> int:
        """The number of the user that reads; 0 may run services as anybody."""
        return os.geteuid()

    @cached_property
    def group(self) -> int:
        """The number of the group that reads."""
        return os.getegid()

    @cached_property
    def umask(self) -> int:
        """The file mode creation mask of a service that is given none."""
        return machine.umask()

    def absolute(self, path: str) -> str:
        """A path of the file, relative to `base_dir`."""
        return absolute(path, self.base_dir)

    def program(self, name: str, at: KeyPath, *, folders: tuple[str, ...], cwd: str, cure: str) -> str:
        """The absolute path of a program: from `folders`, or relative to `cwd` if it has a slash.

        An empty string, and a mistake at `at`, when there is none.
        """
        if not name:
            self.mistakes.add(at, "is empty; write the name of a program")
            return ""
        if "/" in name:
            path = absolute(name, cwd)
            if problem := machine.problem_of_program(path):
                self.mistakes.add(at, f"cannot execute {path}: {problem}; {cure}")
                return ""
            return path
        path = self._find_program(name, folders)
        if not path:
            self.mistakes.add(at, f"there is no {toml(name)} in {':'.join(folders)}; {cure}")
        return path

    def first_program(self, names: tuple[str, ...], folders: tuple[str, ...]) -> str:
        """The first of several programs that there is, or an empty string."""
        return next((path for name in names if (path := self._find_program(name, folders))), "")

    def _search_path(self, path: str, cwd: str) -> tuple[str, ...]:
        return machine.search_path(path or self.environ.get("PATH", ""), cwd)
