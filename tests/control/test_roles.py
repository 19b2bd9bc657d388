"""The table of roles has every request, and is the one in the document."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from supervisor_stack.control.messages import AnyRequest, Apply
from supervisor_stack.control.roles import NEEDED, ROLES, covers, needed
from supervisor_stack.spec import Role


def test_every_request_names_the_role_that_it_takes() -> None:
    assert set(NEEDED) == set(get_args(AnyRequest))


def test_whoever_may_only_look_changes_nothing() -> None:
    looks = {kind.__name__ for kind, least in NEEDED.items() if least == "view"}

    assert looks == {"Status", "Events", "Graph", "List"}
    assert (needed(Apply()), needed(Apply(plan=True))) == ("admin", "view")


@pytest.mark.parametrize(("role", "least"), list(product((None, *ROLES), ROLES)))
def test_each_role_includes_those_before_it(role: Role | None, least: Role) -> None:
    ranks = {None: 0, "view": 1, "operate": 2, "admin": 3}

    assert covers(role, least) == (ranks[role] >= ranks[least])
