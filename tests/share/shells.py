"""Real shells, each with the completion of stackctl where the package puts it, asked by keys."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.cli.shop import DEADLINE, environment

COMPLETE, INSERT_ALL, TELL = b"\t", b"\x1b*", b"\x14"  # TAB, Alt-*, Ctrl-T


class Shell(Protocol):
    """Something that completes command lines, in its HOME `folder`. `shown`: what it has shown so far."""

    folder: Path
    shown: bytes

    def completed(self, line: str) -> str:
        """The line after TAB."""

    def offers(self, line: str) -> list[str]:
        """What the last word of a line may be completed to, sorted."""


class _Editor:
    """A shell on a terminal, which tells its line through the pipe `line` in the folder, its HOME."""

    def __init__(self, argv: tuple[str, ...], folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        os.mkfifo(folder / "line")
        # Open at both ends, so that it neither blocks nor ends.
        self._line = os.open(folder / "line", os.O_RDWR | os.O_NONBLOCK)
        self._terminal, end = pty.openpty()
        self._process = subprocess.Popen(
            argv, stdin=end, stdout=end, stderr=end, env=env, cwd=folder, start_new_session=True
        )
        os.close(end)
        self.shown = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
        os.close(self._line)

    def typed(self, keys: bytes) -> str:
        """The line after these keys; the next one begins empty."""
        os.write(self._terminal, keys + TELL)
        told = b""
        while not told.endswith(b"\0"):
            ready, _, _ = select.select([self._terminal, self._line], [], [], DEADLINE)
            assert ready, f"{keys!r}: the shell does not tell its line; it shows {self.shown!r}"
            if self._terminal in ready:
                self.shown += os.read(self._terminal, 65536)
            if self._line in ready:
                told += os.read(self._line, 65536)
        return told[:-1].decode()

    def completed(self, line: str) -> str:
        """The line after TAB."""
        return self.typed(line.encode() + COMPLETE)

    def offers(self, line: str) -> list[str]:
        """What the last word of a line may be completed to, sorted."""
        before = line.rpartition(" ")[0]
        after = self.typed(line.encode() + INSERT_ALL)
        assert after.startswith(before), after
        return [] if after == line else sorted(after.removeprefix(before).split())


BASH_RC = r"""
set -o emacs
bind 'set bell-style none'
tell() { printf '%s\0' "$READLINE_LINE" >~/line; READLINE_LINE= READLINE_POINT=0; }
bind -x '"\C-t": tell'
bind '"\e*": insert-completions'
. /usr/share/bash-completion/bash_completion
"""

ZSH_RC = r"""
fpath=($XDG_DATA_DIRS/zsh/site-functions $fpath)
autoload -U compinit && compinit -u -D
setopt nobeep emacs
tell() { printf '%s\0' "$BUFFER" >~/line; BUFFER=; }
zle -N tell && bindkey -e '^T' tell
zle -C every complete-word _generic && bindkey -e '\e*' every
zstyle ':completion:every:*' insert yes
zstyle ':completion:every::::' completer _all_matches _complete
"""


class Bash(_Editor):
    """bash with bash-completion, which finds the script by itself."""

    def __init__(self, share: Path, folder: Path, path: Path) -> None:
        rc = folder / ".bashrc"
        rc.write_text(BASH_RC)
        env = _environment(share, folder, path) | {"INPUTRC": "/dev/null"}
        super().__init__(("bash", "--noprofile", "--rcfile", str(rc), "-i"), folder, env)


class Zsh(_Editor):
    """zsh with compinit."""

    def __init__(self, share: Path, folder: Path, path: Path) -> None:
        (folder / ".zshrc").write_text(ZSH_RC)
        env = _environment(share, folder, path) | {"ZDOTDIR": str(folder)}
        super().__init__(("zsh", "-d", "-i"), folder, env)


class Fish:
    """fish, which tells by itself what it would offer."""

    def __init__(self, share: Path, folder: Path, path: Path) -> None:
        self.folder = folder
        self.shown = b""
        self._env = _environment(share, folder, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def described(self, line: str) -> dict[str, str]:
        """What it offers, with the descriptions that it shows."""
        ran = subprocess.run(
            ["fish", "--private", "-c", "complete -C $argv[1]", line],
            check=True,
            capture_output=True,
            encoding="utf-8",
            env=self._env,
            cwd=self.folder,
            timeout=DEADLINE,
        )
        self.shown += ran.stderr.encode()
        return dict((each + "\t").split("\t")[:2] for each in ran.stdout.splitlines())

    def completed(self, line: str) -> str:
        """The line after TAB, if there is one way to go on."""
        (only,) = self.described(line)
        return f"{line.rpartition(' ')[0]} {only}"

    def offers(self, line: str) -> list[str]:
        """What the last word of a line may be completed to, sorted."""
        return sorted(self.described(line))


def _environment(share: Path, folder: Path, path: Path) -> dict[str, str]:
    env = environment(HOME=str(folder), XDG_DATA_DIRS=str(share), TERM="xterm", PS1="> ")
    return env | {"PATH": f"{path}:{env['PATH']}"}
