"""The architecture, read from the `ast` of every file: imports, I/O, length.

Nothing of the package is imported here, so a file is judged also where it cannot run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

PACKAGE = "supervisor_stack"
ROOT = Path(__file__).parents[1]

# From the bottom up: a module imports its own layer and those before it. "" is the package (the version).
LAYERS = ("", "errors", "spec", "core", "kinds", "config", "control", "daemon", "cli")

# A client of the wire must not grow into a second daemon; of the programs only cli/stackd.py runs the core.
CLIENT_SIDE = ("control", "cli")
NOT_FOR_CLIENTS = ("core", "daemon")

PURE = ("errors", "spec", "core", "kinds")
# fmt: off
IO_MODULES = frozenset({
    "asyncio", "concurrent", "ctypes", "fcntl", "glob", "http", "io", "logging", "multiprocessing", "os",
    "pathlib", "psutil", "random", "select", "selectors", "shutil", "signal", "socket", "subprocess",
    "tempfile", "threading", "time", "urllib", "watchdog", "zmq",
})
# fmt: on
IO_BUILTINS = frozenset({"open", "print", "input"})

MAX_LINES = 380


def sources() -> dict[PurePath, str]:
    """The text of every file of the package, by its path in the checkout."""
    return {path.relative_to(ROOT): path.read_text() for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def layer(module: str) -> str | None:
    """The layer that a dotted module name belongs to; None for a module of somebody else."""
    head, _, rest = module.partition(".")
    return rest.partition(".")[0] if head == PACKAGE else None


def layer_of_file(path: PurePath) -> str:
    """The layer that a file of the package belongs to."""
    return path.with_suffix("").parts[1].replace("__init__", "")


def imports(path: PurePath, source: str) -> Iterator[tuple[int, str]]:
    """Line and absolute module name of every import, also those inside functions and `if TYPE_CHECKING`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.parts[: -node.level] if node.level else ()
            module = ".".join((*parents, *filter(None, [node.module])))
            if module != PACKAGE:
                yield node.lineno, module
                continue
            # `from supervisor_stack import daemon` names the module last.
            names = (alias.name for alias in node.names if alias.name != "__version__")
            yield from ((node.lineno, f"{module}.{name}") for name in names)


def wrong_imports(path: PurePath, source: str) -> list[str]:
    """The imports that point up, or from the client's side into the daemon."""
    mine = layer_of_file(path)
    is_client_side = mine in CLIENT_SIDE and path.name != "stackd.py"
    wrong = []
    for line, module in imports(path, source):
        theirs = layer(module)
        if theirs is None:
            continue
        pair = f"{path}:{line}: {mine or PACKAGE} may not import {theirs} ({module})"
        if LAYERS.index(theirs) > LAYERS.index(mine):
            wrong.append(f"{pair}: imports point down")
        elif is_client_side and theirs in NOT_FOR_CLIENTS:
            wrong.append(f"{pair}: this is the client's side")
    return wrong


def impurities(path: PurePath, source: str) -> list[str]:
    """What a pure layer uses that can reach the world outside, the clock or chance."""
    mine = layer_of_file(path)
    if mine not in PURE:
        return []
    modules = [
        f"{path}:{line}: {mine} may not import {module}: it does I/O"
        for line, module in imports(path, source)
        if module.partition(".")[0] in IO_MODULES
    ]
    calls = [
        f"{path}:{node.lineno}: {mine} may not call {node.func.id}(): it does I/O"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_BUILTINS
    ]
    return modules + calls


def judged(judge: Callable[[PurePath, str], list[str]]) -> list[str]:
    """What the judge has against the files of the package."""
    return [told for path, source in sources().items() for told in judge(path, source)]


def test_every_file_belongs_to_a_layer() -> None:
    assert {layer_of_file(path) for path in sources()} <= set(LAYERS)


def test_imports_point_down() -> None:
    assert judged(wrong_imports) == []


def test_pure_layers_do_no_io() -> None:
    assert judged(impurities) == []


def test_no_file_grows_into_two_ideas() -> None:
    lengths = {str(path): len(source.splitlines()) for path, source in sources().items()}

    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_an_upward_import_is_named_with_both_layers() -> None:
    told = wrong_imports(PurePath("supervisor_stack/core/graph.py"), "import supervisor_stack.daemon.loop")

    path, pair = (
        "supervisor_stack/core/graph.py:1",
        "core may not import daemon (supervisor_stack.daemon.loop)",
    )
    assert told == [f"{path}: {pair}: imports point down"]


def test_relative_and_hidden_imports_count() -> None:
    source = """def late():
        from ..daemon import loop
        from .. import cli
        from supervisor_stack import config
    """

    found = list(imports(PurePath("supervisor_stack/core/graph.py"), source))

    assert found == [
        (2, "supervisor_stack.daemon"),
        (3, "supervisor_stack.cli"),
        (4, "supervisor_stack.config"),
    ]


def test_a_client_that_reaches_into_the_daemon_is_named() -> None:
    reach = "from supervisor_stack.core.state import State"

    path, pair = "supervisor_stack/cli/stackctl.py:1", "cli may not import core (supervisor_stack.core.state)"
    assert wrong_imports(PurePath("supervisor_stack/cli/stackctl.py"), reach) == [
        f"{path}: {pair}: this is the client's side"
    ]
    assert wrong_imports(PurePath("supervisor_stack/cli/stackd.py"), reach) == []


def test_io_in_a_pure_layer_is_named() -> None:
    source = "import os.path\nfrom time import monotonic\nopen('x')\n"

    assert impurities(PurePath("supervisor_stack/spec.py"), source) == [
        "supervisor_stack/spec.py:1: spec may not import os.path: it does I/O",
        "supervisor_stack/spec.py:2: spec may not import time: it does I/O",
        "supervisor_stack/spec.py:3: spec may not call open(): it does I/O",
    ]
    assert impurities(PurePath("supervisor_stack/daemon/loop.py"), source) == []


def test_the_version_may_be_imported_by_everybody() -> None:
    source = "from supervisor_stack import __version__"

    assert wrong_imports(PurePath("supervisor_stack/spec.py"), source) == []
