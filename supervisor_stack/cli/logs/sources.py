"""Which logs a service has: what it prints, and the files that it writes by itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from supervisor_stack.cli.options import Options
from supervisor_stack.cli.output import tell
from supervisor_stack.cli.target import config_file, connect
from supervisor_stack.control.messages import Status
from supervisor_stack.control.names import require_known
from supervisor_stack.control.parts import Detail, ServiceStatus
from supervisor_stack.errors import ConfigError, UnreachableError


class Source(NamedTuple):
    """A log of a service. `path` empty: the entries of this name in the journal. `label`: whose it is, for
    people."""

    service: str
    path: str
    label: str


def find(options: Options) -> list[Source]:
    """The logs of the services, from stackd, or, when there is none, from the configuration."""
    names = tuple(options.services)
    sources = _known(names, options)
    for name in names:
        if not any(source.service == name for source in sources):
            tell(f"{name} has no log that could be shown; its output goes where its `log` says")
    return sources


def _known(names: tuple[str, ...], options: Options) -> list[Source]:
    try:
        with connect(options) as client:
            found = client.request(Status(services=names, detail=True)).services
    except UnreachableError as error:
        return _configured(names, options, error)
    return of_services(found)


def of_services(services: Iterable[ServiceStatus]) -> list[Source]:
    """The logs of services, as the details of their status tell."""
    details = ((service.name, service.detail or Detail()) for service in services)
    return [
        source for name, detail in details for source in _of(name, detail.log_to, detail.log, detail.logs)
    ]


def _configured(names: tuple[str, ...], options: Options, absence: UnreachableError) -> list[Source]:
    from supervisor_stack.config import load

    path = config_file(options)
    try:
        stack = load(path, os.environ)
    except ConfigError:
        raise absence from None
    require_known(names, [service.name for service in stack.services])
    tell(f"stackd is not running; these are the log files by {path}")
    return [
        source
        for service in stack.services
        if not names or service.name in names
        for source in _of(
            service.name,
            service.log.to,
            f"{stack.log_dir}/{service.name}.log" if service.log.to == "file" else "",
            (*service.logs, *service.access_logs),
        )
    ]


def _of(service: str, log_to: str, printed: str, own: Sequence[str]) -> Iterator[Source]:
    if printed or log_to == "journal":
        yield Source(service, printed, service)
    paths = [path for path in dict.fromkeys(own) if path != printed]
    for path, name in zip(paths, _short(service, paths), strict=True):
        yield Source(service, path, f"{service} {name}")


def _short(service: str, paths: Iterable[str]) -> list[str]:
    """The names of a service's files: `error` for nginx_error.log of nginx. Equal ones get their folder."""
    found = [PurePath(path) for path in paths]
    names = [_without_affixes(service, path) for path in found]
    often = Counter(names)
    return [
        name if often[name] == 1 else f"{path.parent.name}/{name}"
        for name, path in zip(names, found, strict=True)
    ]


def _without_affixes(service: str, path: PurePath) -> str:
    stem = path.name.removesuffix(".log") or path.name
    return stem.removeprefix(service).lstrip("_-.") or stem
