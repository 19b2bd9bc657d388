"""The configuration: from stackd.toml to a StackSpec, or an error with each mistake's file, line and cure.

Three ways in. `load` reads and judges everything, as the daemon needs it; `judge` does so for whoever only
wants to know. `locate` finds out where stackd listens, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING

from supervisor_stack.config.places import locate

if TYPE_CHECKING:
    from supervisor_stack.config.build import Judged
    from supervisor_stack.errors import ConfigError
    from supervisor_stack.spec import StackSpec

__all__ = ["complaint", "judge", "load", "locate"]


def load(path: str | PathLike[str], environ: Mapping[str, str]) -> StackSpec:
    """The stack that a configuration file describes. `environ`: what `${NAME}` in it refers to.

    Raises ConfigError; its `detail` has one line `FILE:LINE: key.path: what is wrong; what would be
    right` for each mistake.
    """
    # stackctl imports this package for `locate`, and must not wait for the schema and the kinds.
    from supervisor_stack.config.build import build

    return build(fspath(path), environ).stack


def judge(path: str | PathLike[str], environ: Mapping[str, str]) -> Judged:
    """The same for somebody who only looks, and need not be the user that stackd runs as: what only root
    may is no mistake then, but is told as not judged. Raises ConfigError as `load` does.
    """
    from supervisor_stack.config.build import build

    return build(fspath(path), environ, only_looks=True)


def complaint(path: str, key: tuple[str, ...], what: str) -> ConfigError:
    """What is wrong with a key of a file that is good by itself, told as `load` tells mistakes.

    Raises ConfigError when the file cannot be read any more.
    """
    from supervisor_stack.config.document import read_document
    from supervisor_stack.config.mistakes import Mistakes

    mistakes = Mistakes(read_document(path))
    mistakes.add(key, what)
    return mistakes.error()
