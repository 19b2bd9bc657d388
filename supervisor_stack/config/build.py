"""The whole way from a file to a StackSpec; every mistake on it is collected and told at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from supervisor_stack.config.access import read_grants, read_network
from supervisor_stack.config.addresses import check_addresses
from supervisor_stack.config.dependencies import check_dependencies
from supervisor_stack.config.document import read_document
from supervisor_stack.config.folders import check_folders
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.names import MAX_NAME, NAME
from supervisor_stack.config.places import resolve
from supervisor_stack.config.service import read_service
from supervisor_stack.config.shape import read_shape
from supervisor_stack.config.site import Site
from supervisor_stack.config.words import toml
from supervisor_stack.spec import StackSpec

# `stackctl stop all`
_RESERVED = ("all",)


class Judged(NamedTuple):
    """A stack, and one line `FILE:LINE: key.path: why` for each key that this user could not judge."""

    stack: StackSpec
    unjudged: tuple[str, ...]


def build(path: str, environ: Mapping[str, str], *, only_looks: bool = False) -> Judged:
    """The stack that a configuration file describes. `only_looks`: whoever asks is not to run it.

    Raises ConfigError with all mistakes of the file.
    """
    environ = dict(environ)  # os.environ decodes at each access, and it is copied for each service
    document = read_document(path)
    mistakes = Mistakes(document)
    file = read_shape(document.tree, environ, mistakes)
    stack = file.stack.given() if file.stack is not UNSET else {}
    control = file.control.given() if file.control is not UNSET else {}
    places = resolve(path, stack, control, mistakes)
    site = Site(places, environ, mistakes, only_looks=only_looks)
    _check_name(stack, site)
    check_folders(control, places, mistakes)
    grants = read_grants(control.get("group", ""), control.get("roles"), site)
    network = read_network(control.get("network"), site)
    names = _check_names(document.tree, mistakes)
    tables = file.services if file.services is not UNSET else {}
    services = [read_service(name, table, site) for name, table in tables.items()]
    check_dependencies(tables, names, mistakes)
    check_addresses([service for service in services if service], mistakes)
    mistakes.raise_if_any()
    control_spec = msgspec.structs.replace(places.control, grants=grants, network=network)
    stack_spec = StackSpec(
        name=stack.get("name") or Path(os.path.realpath(places.base_dir)).name or "stack",
        base_dir=places.base_dir,
        runtime_dir=places.runtime_dir,
        log_dir=places.log_dir,
        control=control_spec,
        parallel=stack.get("parallel", False),
        services=tuple(service for service in services if service),
        source=str(Path(path).absolute()),
    )
    return Judged(stack_spec, mistakes.unjudged())


def _check_name(stack: Mapping[str, str], site: Site) -> None:
    name = stack.get("name", "-")
    if not name or not name.isprintable():
        site.mistakes.add(
            ("stack", "name"), f"{toml(name)} cannot be printed on one line; write a short name"
        )


def _check_names(tree: Mapping[str, object], mistakes: Mistakes) -> list[str]:
    """The names of all services, also of those that are not as they should be."""
    services = tree.get("services", {})
    names = list(services) if isinstance(services, dict) else []
    if not names and not mistakes.has("services"):
        mistakes.add(("services",), "there are no services; write one, such as [services.nginx]")
    for name in names:
        if name in _RESERVED:
            mistakes.add(("services", name), f"{toml(name)} means every service; choose another name")
        elif len(name) > MAX_NAME:
            mistakes.add(
                ("services", name), f"a name has at most {MAX_NAME} characters; choose a shorter one"
            )
        elif re.fullmatch(NAME, name) is None:
            mistakes.add(
                ("services", name), f"{toml(name)} is not a name for a service; {_cure_of_name(name)}"
            )
    return names


def _cure_of_name(name: str) -> str:
    right = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).lstrip("_.-")
    rule = "names are made of a-z, 0-9, _, . and -, and begin with a letter or digit"
    return f"write {right} ({rule})" if right else rule
