"""One service on its way from the file to its spec."""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor_stack.config.lines import KeyPath
from supervisor_stack.config.service_table import COMMAND
from supervisor_stack.config.site import Site
from supervisor_stack.kinds.base import Kind


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """`given`: the keys that the file has and that have the right shape."""

    name: str
    given: dict[str, Any]
    kind: Kind
    site: Site

    @property
    def is_command(self) -> bool:
        """Whether the user says what to run, and not the kind."""
        return self.kind.name == COMMAND

    @property
    def is_task(self) -> bool:
        """Whether it is meant to come to an end."""
        return self.given.get("type") == "task"

    def at(self, *key: str | int) -> KeyPath:
        """The path of a key of this service."""
        return ("services", self.name, *key)

    def wrong(self, key: tuple[str | int, ...], *whats: str) -> None:
        """Note mistakes: "what is wrong; what would be right"."""
        self.site.mistakes.add(self.at(*key), *whats)

    def is_wrong(self, *key: str | int) -> bool:
        """Whether a mistake was noted for a key, or for a part of its value."""
        return self.site.mistakes.has(*self.at(*key))
