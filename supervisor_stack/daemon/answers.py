"""What each probe was answered last: for `status`, and for whoever is told that a start failed.

The core is told of changes only; a service that answers well every five seconds makes no facts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

Question = Literal["ready", "alive"]


class LastAnswer(NamedTuple):
    """`at` is monotonic. `words` as the probe has them: empty when there was nothing else to say than that
    all is well. `ok`: whether it counts as ready, or as alive."""

    run: int
    at: float
    ok: bool
    words: str


class LastAnswers:
    """By service and question. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: dict[str, dict[Question, LastAnswer]] = {}

    def note(self, service: str, question: Question, run: int, ok: bool, words: str = "") -> None:
        """It was answered just now."""
        self._answers.setdefault(service, {})[question] = LastAnswer(run, self._clock(), ok, words)

    def of(self, service: str) -> dict[Question, LastAnswer]:
        """What is known of a service."""
        return self._answers.get(service, {})

    def refusal(self, service: str, run: int) -> str:
        """Why this run was not ready when it was asked last, as far as it was asked."""
        answer = self.of(service).get("ready")
        return answer.words if answer and answer.run == run and not answer.ok else ""

    def forget(self, service: str) -> None:
        """Keep nothing of a service that was removed."""
        self._answers.pop(service, None)
