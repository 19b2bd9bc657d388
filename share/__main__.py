"""Write every file below a folder: `python -m share FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from share.files import FILES


def write(folder: Path) -> None:
    """All of them, each in its place."""
    for place, made in FILES.items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
