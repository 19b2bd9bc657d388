"""Where things are: the folders of a stack, and the sockets on which stackd listens.

`locate` is all that stackctl needs of the configuration. It looks at nothing but [stack] and
[control], and imports neither the schema nor the kinds: stackctl is started for each question.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath

import msgspec

from supervisor_stack.config.document import read_document
from supervisor_stack.config.mistakes import Mistakes
from supervisor_stack.config.values import Endpoint, PathText, absolute, check_socket_path
from supervisor_stack.config.variables import expand
from supervisor_stack.config.words import type_of
from supervisor_stack.spec import ControlSpec

DEFAULT_RUNTIME_DIR = "/run/stackd"
DEFAULT_LOG_DIR = "/var/log/stackd"
DEFAULT_KEYS = "keys"

_STACK = {"base_dir": PathText, "runtime_dir": PathText}
_CONTROL = {"socket": Endpoint}
_NETWORK = {"keys": PathText}


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The folders of a stack, as absolute paths, and its endpoints. `keys`: where its keys are, when the
    file does not say.
    """

    base_dir: str
    runtime_dir: str
    log_dir: str
    control: ControlSpec
    keys: str


def locate(path: str, environ: Mapping[str, str]) -> ControlSpec:
    """Where the stackd of this configuration file listens. Mistakes elsewhere in it do not matter.

    Raises ConfigError when the file cannot be read, or does not tell.
    """
    document = read_document(path)
    mistakes = Mistakes(document)
    stack = _strings(document.tree, "stack", _STACK, environ, mistakes)
    control = _strings(document.tree, "control", _CONTROL, environ, mistakes)
    places = resolve(path, stack, control, mistakes)
    mistakes.raise_if_any()
    return places.control


def keys_folder(path: str, environ: Mapping[str, str]) -> str:
    """The folder of the keys of the stackd of this configuration file, also of one that is not there yet.

    Raises ConfigError when the file does not tell.
    """
    if not Path(path).exists():
        return _default_keys(path)
    document = read_document(path)
    mistakes = Mistakes(document)
    base_dir = _strings(document.tree, "stack", _STACK, environ, mistakes).get("base_dir", ".")
    control = document.tree.get("control")
    network = _strings(control if isinstance(control, dict) else {}, "network", _NETWORK, environ, mistakes)
    mistakes.raise_if_any()
    folder = absolute(base_dir, str(Path(path).absolute().parent))
    return absolute(network["keys"], folder) if "keys" in network else _default_keys(path)


def _default_keys(path: str) -> str:
    """Beside the configuration, which is root's; `base_dir` may be a folder that others serve files from."""
    return str(Path(path).absolute().with_name(DEFAULT_KEYS))


def resolve(path: str, stack: Mapping[str, str], control: Mapping[str, str], mistakes: Mistakes) -> Places:
    """The places that the keys of [stack] and [control], as far as given, stand for.

    The folder of the file is that of the path as given: a symlink is not followed.
    """
    folder = str(Path(path).absolute().parent)
    base_dir = absolute(stack.get("base_dir", "."), folder)
    runtime_dir = absolute(stack.get("runtime_dir", DEFAULT_RUNTIME_DIR), base_dir)
    default = f"ipc://{runtime_dir}/control.sock"
    socket = absolute(control.get("socket", default).removeprefix("ipc://"), base_dir)
    events = str(PurePath(socket).with_name("events.sock"))
    key = ("control", "socket") if "socket" in control else ("stack", "runtime_dir")
    try:
        check_socket_path(max(socket, events, key=len))
    except ValueError as error:
        mistakes.add(key, str(error))
    if socket == events:
        mistakes.add(key, "is where notices are published; choose another name, such as control.sock")
    return Places(
        base_dir=base_dir,
        runtime_dir=runtime_dir,
        log_dir=absolute(stack.get("log_dir", DEFAULT_LOG_DIR), base_dir),
        control=ControlSpec(
            socket=f"ipc://{socket}", events=f"ipc://{events}", group=control.get("group", "")
        ),
        keys=_default_keys(path),
    )


def _strings(
    tree: Mapping[str, object],
    name: str,
    types: Mapping[str, type[PathText | Endpoint]],
    environ: Mapping[str, str],
    mistakes: Mistakes,
) -> dict[str, str]:
    table = tree.get(name, {})
    if not isinstance(table, dict):
        mistakes.add((name,), f"is {type_of(table)}, not a table; write [{name}]")
        return {}
    strings: dict[str, str] = {}
    for key, wanted in types.items():
        value = table.get(key)
        if value is None:
            continue
        try:
            strings[key] = wanted.parse(expand(value, environ) if isinstance(value, str) else value)
        except TypeError:
            mistakes.add((name, key), f"is {type_of(value)}, not {wanted.noun}; write it as a string")
        except ValueError as error:
            mistakes.add((name, key), str(error))
    return strings
