"""Making one copy of a configuration: fold its files into one, write that, let the server judge it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping

from supervisor_stack.daemon import fold_dump, launch
from supervisor_stack.daemon.conf_files import Content, RunAs, digest, read_as
from supervisor_stack.daemon.process import Processes
from supervisor_stack.daemon.text import printable
from supervisor_stack.errors import SpawnError
from supervisor_stack.kinds.fold import FOLDS
from supervisor_stack.kinds.fold.base import Answer, FoldError
from supervisor_stack.kinds.nginx_dump import split
from supervisor_stack.spec import ServiceSpec

TIMEOUT = 10.0
"""Seconds for each command that a copy takes; a configuration test has its own."""

FOLD_TIMEOUT = 60.0
"""Seconds for folding a dump. 1 MB takes 2, and more than 8 MB are not read at all."""

EVIDENCE = 3
"""Lines of what a server said against the copy."""

RunBeside = Callable[
    [ServiceSpec, int, tuple[str, ...], float, tuple[str, ...]], Awaitable[tuple[int, str, str]]
]
"""Runs a command as a service runs: its specification, the run, argv, seconds, variables to leave out."""

Texts = Mapping[str, str | None]
"""What was read, by path; None for what could not be read."""


class CopyError(Exception):
    """There is no copy, for this cause; `evidence` holds what somebody else said about it."""

    def __init__(self, cause: str, evidence: tuple[str, ...] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.evidence = evidence


class Copier:
    """Makes copies. `run_beside` runs commands as a service runs, `processes` as stackd itself."""

    def __init__(self, run_beside: RunBeside, processes: Processes) -> None:
        self._run_beside = run_beside
        self._processes = processes

    async def make(self, spec: ServiceSpec, run: int, path: str, title: str, known: Content) -> Texts:
        """Put a copy at the path, if it is good, and return what it was made of.

        `known` is what was in the files when the run read them: only of that a copy is made. Raises
        CopyError, and leaves what was at the path before.
        """
        candidate = f"{path}.new"
        try:
            fold = self._fold_dump if FOLDS[spec.copy].dumped else self._fold
            text, read = await fold(spec, run, known, f"{path}.dump")
            if "\N{REPLACEMENT CHARACTER}" in text:
                raise CopyError("it has bytes that are not UTF-8, and not only in comments")
            _write(candidate, title + text, launch.identity(spec))
            await self._judge(spec, run, candidate, text)
            os.replace(candidate, path)
        except FoldError as error:
            raise CopyError(str(error)) from None
        except SpawnError as error:
            raise CopyError(error.message, error.detail) from None
        except TimeoutError:
            raise CopyError("a command that reads or tests it did not end in time") from None
        except OSError as error:
            raise CopyError(
                f"{candidate} cannot be written ({(error.strerror or str(error)).lower()})"
            ) from None
        finally:
            _remove(candidate)
        return read

    async def _fold(self, spec: ServiceSpec, run: int, known: Content, _path: str) -> tuple[str, Texts]:
        fold = FOLDS[spec.copy].fold
        text, source = await read_as(
            self._run_as(spec, run), TIMEOUT, lambda source: fold(spec.config, source, spec.cwd)
        )
        if name := _differing(source.texts, known):
            raise CopyError(f"{name} is not as it was when run {run} read it")
        return text, source.texts

    async def _fold_dump(self, spec: ServiceSpec, run: int, known: Content, path: str) -> tuple[str, Texts]:
        dump = await self._check(spec, run, spec.config, "its configuration test fails")
        # The test puts a line feed behind each file.
        texts = {name: part.removesuffix("\n") for name, part in split(dump).items()}
        if name := _differing(texts, known):
            # Somebody may have saved a dump as a configuration.
            raise CopyError(
                f"{name} has changed, or a comment in it looks like the beginning of another file"
            )
        try:
            _write(path, dump, launch.Identity())
            # Services that are just starting go first.
            python = ("nice", "-n", "10", sys.executable, "-P", "-m", fold_dump.__name__)
            env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            code, text, err = await self._processes.run(
                (*python, spec.copy, spec.config, spec.cwd, path), FOLD_TIMEOUT, env=env, cwd="/"
            )
        finally:
            _remove(path)
        if code:
            raise CopyError(err.strip() or f"folding it ended with {code}")
        return text, texts

    async def _judge(self, spec: ServiceSpec, run: int, copy: str, text: str) -> None:
        fold, run_as = FOLDS[spec.copy], self._run_as(spec, run)
        if fold.question is None or fold.objection is None:
            await self._check(spec, run, copy, "the copy fails the configuration test")
            return
        question = fold.question(spec.argv, text)
        answer = Answer(*await run_as((*with_copy(spec.argv, spec.config, copy), *question), TIMEOUT))
        original = Answer(*await run_as((*spec.argv, *question), TIMEOUT))
        if objection := fold.objection(answer, original):
            raise CopyError(objection, _last_lines(answer.err))

    async def _check(self, spec: ServiceSpec, run: int, config: str, cause: str) -> str:
        """The service's own test of a configuration; what it printed. Raises CopyError."""
        check = spec.check
        if check is None:
            raise TypeError(f"{spec.name} has no configuration test")
        argv = with_copy(check.argv, spec.config, config)
        code, out, err = await self._run_as(spec, run)(argv, check.timeout)
        if code:
            said = check.evidence(err) if check.evidence else ()
            raise CopyError(f"{cause} (exit status {code})", said or _last_lines(err))
        return out

    def _run_as(self, spec: ServiceSpec, run: int) -> RunAs:
        without = spec.check.without_env if spec.check else ()

        async def run_as(argv: tuple[str, ...], timeout: float) -> tuple[int, str, str]:
            return await self._run_beside(spec, run, argv, timeout, without)

        return run_as


def with_copy(argv: tuple[str, ...], config: str, copy: str) -> tuple[str, ...]:
    """The words with the copy in the place of the configuration: the first CONFIG or --OPTION=CONFIG."""
    for index, word in enumerate(argv):
        if word == config or word.endswith(f"={config}"):
            return (*argv[:index], word.removesuffix(config) + copy, *argv[index + 1 :])
    return argv


def _differing(texts: Texts, known: Content) -> str:
    """The first file whose text is not what is known of it, or an empty string."""
    return next(
        (name for name, text in texts.items() if text is not None and known.get(name) != digest(text)), ""
    )


def _last_lines(text: str) -> tuple[str, ...]:
    return tuple(map(printable, text.splitlines()[-EVIDENCE:]))


def _write(path: str, text: str, owner: launch.Identity) -> None:
    """A new file that only its owner may read."""
    _remove(path)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    with os.fdopen(file, "wb") as stream:
        os.fchown(file, -1 if owner.user is None else owner.user, -1 if owner.group is None else owner.group)
        stream.write(text.encode())


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
