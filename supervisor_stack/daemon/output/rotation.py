"""Old log files: PATH.1 is the newest of them."""

from __future__ import annotations

import contextlib
import itertools
import os


def rotate(path: str, keep: int) -> None:
    """Make room at `path`: what is there becomes PATH.1, and at most `keep` old files stay.

    It may be killed after each step and done again: then nothing is lost but what is too old. An
    interrupted one leaves a gap among the numbers, and the next one ends there. Raises OSError.
    """
    for number in itertools.count(max(keep, 0) + 1):
        try:
            os.unlink(f"{path}.{number}")
        except FileNotFoundError:
            break
    if not keep:
        os.unlink(path)
        return
    numbers = range(1, keep + 1)
    gap = next((number for number in numbers if not os.path.lexists(f"{path}.{number}")), keep)
    for number in range(gap, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}.{number - 1}", f"{path}.{number}")
    os.rename(path, f"{path}.1")
