"""Medians and spreads, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence


def spread(values: Sequence[float], unit: str) -> str:
    """`median [min..max] unit, p95, n`."""
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return (
        f"{statistics.median(ordered):8.2f} [{ordered[0]:.2f}..{ordered[-1]:.2f}] {unit}, "
        f"p95 {p95:.2f}, n={len(ordered)}"
    )


def row(what: str, values: Sequence[float], unit: str = "ms") -> None:
    """Print one line of results."""
    print(f"{what:<44} {spread(values, unit)}", flush=True)


def machine() -> None:
    """Print what the figures were measured on."""
    load = os.getloadavg()[0]
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load before {load:.2f}",
        flush=True,
    )
