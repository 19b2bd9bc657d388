"""The shape of the configuration: every table, every key, its type, range, default and meaning.

This is the one list of them: the walk over a file (shape.py), the JSON schema for editors and the
tables of docs/config.md (reference.py) are made from it. A key that is not given is UNSET, since
most defaults depend on the kind of service; they are folded in where the spec is built.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from supervisor_stack.config.names import MAX_NAME, NAME
from supervisor_stack.config.places import DEFAULT_LOG_DIR, DEFAULT_RUNTIME_DIR
from supervisor_stack.config.service_table import ServiceTable
from supervisor_stack.config.tables import NetworkTable, RolesTable, Table, key
from supervisor_stack.config.values import Endpoint, PathText


class StackTable(Table, frozen=True):
    """`[stack]`: the stack as a whole."""

    name: (
        Annotated[
            str,
            key(
                "What `stackctl` calls the stack. Default: the name of the folder `base_dir`.",
                example="br_api",
            ),
        ]
        | UnsetType
    ) = UNSET
    base_dir: (
        Annotated[
            PathText,
            key(
                "What relative paths in this file are relative to. Default: the folder of the file.",
                example="/srv/br_api",
            ),
        ]
        | UnsetType
    ) = UNSET
    runtime_dir: (
        Annotated[
            PathText,
            key(
                "Folder for the control socket and what else is gone after a reboot; made when missing. "
                "Each stack on a machine needs its own.",
                default=DEFAULT_RUNTIME_DIR,
                example="/run/br_api",
            ),
        ]
        | UnsetType
    ) = UNSET
    log_dir: (
        Annotated[
            PathText,
            key(
                "Folder for what the services print, one file `NAME.log` each; made when missing.",
                default=DEFAULT_LOG_DIR,
                example="/var/log/br_api",
            ),
        ]
        | UnsetType
    ) = UNSET
    parallel: (
        Annotated[
            bool,
            key(
                "Whether a service starts together with one that it requires, when stackd holds the sockets "
                "of that one: what it sends waits there.",
                default=False,
                example=True,
            ),
        ]
        | UnsetType
    ) = UNSET


class ControlTable(Table, frozen=True):
    """`[control]`: where stackd listens for `stackctl`, and who may do what."""

    socket: (
        Annotated[
            Endpoint,
            key(
                "Endpoint for requests. Default: `control.sock` in `runtime_dir`. Notices are published on "
                "`events.sock` beside it.",
                example="ipc:///run/stackd/control.sock",
            ),
        ]
        | UnsetType
    ) = UNSET
    group: (
        Annotated[
            str,
            Meta(min_length=1),
            key(
                "The group of the socket: its members may look (role `view`). Default: only root and the "
                "user that stackd runs as may use it.",
                example="stackd",
            ),
        ]
        | UnsetType
    ) = UNSET
    roles: (
        Annotated[
            RolesTable,
            key("Who on this machine may do what, see below.", example={"operate": ["alice", "@deploy"]}),
        ]
        | UnsetType
    ) = UNSET
    network: (
        Annotated[
            NetworkTable,
            key(
                "Where stackd listens to other machines, see below.", example={"listen": "tcp://0.0.0.0:7890"}
            ),
        ]
        | UnsetType
    ) = UNSET


class ConfigFile(Table, frozen=True):
    """The whole file."""

    stack: Annotated[StackTable, key("The stack as a whole.", example={"name": "br_api"})] | UnsetType = UNSET
    control: (
        Annotated[ControlTable, key("Where stackd listens for `stackctl`.", example={"group": "stackd"})]
        | UnsetType
    ) = UNSET
    services: (
        Annotated[
            dict[Annotated[str, Meta(pattern=NAME, max_length=MAX_NAME)], ServiceTable],
            key("The services, by name.", example={"nginx": {"kind": "nginx", "config": "nginx.conf"}}),
        ]
        | UnsetType
    ) = UNSET
