"""Can the folders of stackd itself be what they have to be? It makes some of them, and not the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.places import Places


def check_folders(control: Mapping[str, object], places: Places, mistakes: Mistakes) -> None:
    """Note each that can be no folder, and that of a socket that is not there and that nobody makes."""
    made = {"runtime_dir": Path(places.runtime_dir), "log_dir": Path(places.log_dir)}
    for key, path in made.items():
        there = _lowest_that_is_there(path)
        if not _can_be_folder(there):
            mistakes.add(("stack", key), f"{there} is no folder; remove it, or write another path")
    if "socket" not in control:
        return
    folder = Path(places.control.socket.removeprefix("ipc://")).parent
    there = _lowest_that_is_there(folder)
    if not _can_be_folder(there):
        mistakes.add(("control", "socket"), f"{there} is no folder; write another path")
    elif there != folder and not any(path.is_relative_to(folder) for path in made.values()):
        cure = f"make it, or write a path in {places.runtime_dir}, which stackd makes"
        mistakes.add(("control", "socket"), f"there is no folder {folder}; {cure}")


def _lowest_that_is_there(path: Path) -> Path:
    """The path, or the first one above it that exists. One that cannot be looked for counts as there."""
    return next(each for each in (path, *path.parents) if _is_there(each))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True


def _can_be_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return True
