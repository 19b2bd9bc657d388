"""The fuzzer, for as long as a test may take; docs/operations.md tells of the long run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.wire import fuzz

FRAMES = 200_000


@pytest.mark.timeout(300)
def test_stackd_withstands_mutated_requests(tmp_path: Path) -> None:
    counts = fuzz(tmp_path, FRAMES, seed=20261126)

    answered = sum(count for name, count in counts.items() if name.startswith("reply "))
    unasked = counts["reply Progress"] + counts["reply Finished"]
    assert answered - unasked + counts["wire"] == FRAMES
    # Or it has not been where it hurts.
    assert min(counts[level] for level in ("json", "bytes", "frames", "wire", "valid", "acts")) > 50
    kinds = ("bad-request", "protocol-version", "unknown-service", "refused", "StatusReply", "Accepted")
    assert min(counts[f"reply {kind}"] for kind in kinds) > 0
