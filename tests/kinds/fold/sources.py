"""Files that exist only here, for folding."""

from __future__ import annotations

from collections.abc import Mapping

from tests.kinds.given import TextFiles


class TextSource(TextFiles):
    """`links`: where symbolic links lead, by their path."""

    def __init__(self, texts: Mapping[str, str], links: Mapping[str, str] | None = None) -> None:
        super().__init__(texts)
        self._links = links or {}

    def read(self, path: str) -> str:
        return super().read(self.real(path))

    def real(self, path: str) -> str:
        for link, target in self._links.items():
            if path == link or path.startswith(f"{link}/"):
                return self.real(target + path.removeprefix(link))
        return path
