"""What a service is started with, whatever it is: environment, folder, user, group, limits."""

from __future__ import annotations

import msgspec

from supervisor_stack.config.draft import Draft
from supervisor_stack.config.env_file import parse_env_file
from supervisor_stack.config.machine import reason
from supervisor_stack.config.values import LIMITS
from supervisor_stack.config.words import did_you_mean, toml

_MANY_LINES = 5
_ONLY_ROOT = "only root may start a service as somebody else"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """`path`: the folders in which programs are looked for. `as_root`: it runs as the superuser.

    The other fields are as in ServiceSpec.
    """

    env: dict[str, str]
    cwd: str
    path: tuple[str, ...]
    user: str
    group: str
    limits: dict[str, int]
    as_root: bool


def read_process(draft: Draft) -> Process:
    """What the keys of the service say, over the environment that its kind needs."""
    given, site = draft.given, draft.site
    written = given.get("env", {})
    for name in written:
        if not name or "=" in name or "\0" in name:
            draft.wrong(("env", name), "is not the name of a variable; write letters, digits and _")
    env = {**draft.kind.env, **_env_file(draft), **written}
    cwd = site.absolute(given.get("cwd", "."))
    if problem := site.problem_of_folder(cwd):
        at = draft.at("cwd") if "cwd" in given else ("stack", "base_dir")
        site.mistakes.add(at, f"cannot start anything in {cwd}: {problem}; make it, or write another folder")
    limits = given.get("limits", {})
    for name in limits:
        if name not in LIMITS:
            cure = did_you_mean(site.mistakes.near(name, LIMITS)) or f"write one of {', '.join(LIMITS)}"
            draft.wrong(("limits", name), f"unknown limit; {cure}")
    return Process(
        env=env,
        cwd=cwd,
        path=site.search_path(env.get("PATH", ""), cwd),
        user=_user(draft),
        group=_group(draft),
        as_root=_as_root(draft),
        limits={name: int(limit) for name, limit in limits.items()},
    )


def _env_file(draft: Draft) -> dict[str, str]:
    if "env_file" not in draft.given:
        return {}
    path = draft.site.absolute(draft.given["env_file"])
    try:
        env, wrong = parse_env_file(draft.site.read(path))
    except OSError as error:
        draft.wrong(("env_file",), f"cannot read {path}: {reason(error)}; make it, or remove the key")
        return {}
    told = [f"line {line} of {path} is no variable; write NAME=VALUE" for line in wrong[:_MANY_LINES]]
    if len(wrong) > _MANY_LINES:
        told.append(f"{len(wrong) - _MANY_LINES} more lines of {path} are no variables either")
    draft.wrong(("env_file",), *told)
    return env


def _user(draft: Draft) -> str:
    name: str = draft.given.get("user", "")
    if name:
        number = draft.site.user_id(name)
        if number is None:
            draft.wrong(("user",), f"there is no user {toml(name)}; create it, or name another")
        elif draft.site.user not in (0, number):
            _leave_to_root(draft, "user")
    return name


def _as_root(draft: Draft) -> bool:
    name = draft.given.get("user")
    return (draft.site.user_id(name) if name else draft.site.user) == 0


def _group(draft: Draft) -> str:
    name: str = draft.given.get("group", "")
    if name:
        number = draft.site.group_id(name)
        if number is None:
            draft.wrong(("group",), f"there is no group {toml(name)}; create it, or name another")
        elif draft.site.user != 0 and draft.site.group != number:
            _leave_to_root(draft, "group")
    return name


def _leave_to_root(draft: Draft, key: str) -> None:
    if draft.site.only_looks:
        draft.site.mistakes.leave(draft.at(key), f"not judged: you are not root, and {_ONLY_ROOT}")
    else:
        draft.wrong((key,), f"{_ONLY_ROOT}; run stackd as root, or remove the key")
