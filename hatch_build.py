"""Puts the manual pages and the completion of shells, which share/ makes, into the wheel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SharedFiles(BuildHookInterface[Any]):
    """Makes them before the wheel is put together, also for `pip install -e`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make them in a folder that nobody else sees."""
        self._made = tempfile.TemporaryDirectory(prefix="share-")
        # A process of its own: whatever else builds things here, it imports the package of this folder.
        subprocess.run([sys.executable, "-B", "-m", "share", self._made.name], cwd=self.root, check=True)
        build_data["shared_data"][self._made.name] = "share"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """The wheel has its copies."""
        self._made.cleanup()
