"""`stackctl top` on a pseudo terminal, and where there is none."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import sysconfig
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.shop import DEADLINE, ROOT, STACKCTL, environment, stackctl
from tests.cli.terminal import stackctl_on_terminal
from tests.peer import Peer

# A colour of the foreground or background (ECMA-48 SGR); 39 and 49 are those of the terminal itself.
COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m")


class Terminal:
    """The other end of a pseudo terminal on which stackctl top runs."""

    def __init__(self, *words: str, changes: Mapping[str, str]) -> None:
        self.fd, self.end = pty.openpty()
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(self.end)
        env = {**environment(TERM="xterm-256color"), **changes}
        self.process = subprocess.Popen(
            [*STACKCTL, *words], stdin=self.end, stdout=self.end, stderr=self.end, env=env
        )
        self.shown = ""

    def until(self, text: str) -> None:
        """Read until it has drawn this."""
        end = monotonic() + DEADLINE
        while text not in self.shown:
            assert monotonic() < end, f"waited in vain for {text!r}: {self.shown[-2000:]!r}"
            self._read(1.0)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self.fd, keys.encode())

    def leave(self) -> int:
        """Read on until it has ended; its exit code. The terminal is as it was."""
        end = monotonic() + DEADLINE
        while self.process.poll() is None:
            assert monotonic() < end, f"it does not end: {self.shown[-2000:]!r}"
            self._read(0.05)
        while self._read(0):
            pass
        assert termios.tcgetattr(self.end) == self.before
        for mode in ("?1049", "?1000", "?1003", "?1006", "?2004"):  # other screen, mouse, bracketed paste
            assert self.shown.rfind(f"\x1b[{mode}l") > self.shown.rfind(f"\x1b[{mode}h"), mode
        assert self.shown.rfind("\x1b[?25h") > self.shown.rfind("\x1b[?25l")  # the cursor
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        self.shown += os.read(self.fd, 65536).decode(errors="replace")
        return True


@contextmanager
def on_terminal(*words: str, **changes: str) -> Iterator[Terminal]:
    terminal = Terminal(*words, changes=changes)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait()
        os.close(terminal.fd)
        os.close(terminal.end)


def test_it_draws_and_quits(peer: Peer) -> None:
    with on_terminal("--socket", peer.endpoint, "top") as terminal:
        terminal.until("SERVICE")
        terminal.until("web")
        terminal.until("q quit")
        assert COLOR.search(terminal.shown)
        terminal.press("q")
        assert terminal.leave() == 0


def test_ctrl_c_quits(peer: Peer) -> None:
    with on_terminal("--socket", peer.endpoint, "top") as terminal:
        terminal.until("q quit")
        terminal.press("\x03")
        assert terminal.leave() == 0


def test_sigterm_leaves_the_terminal_as_it_was(peer: Peer) -> None:
    with on_terminal("--socket", peer.endpoint, "top") as terminal:
        terminal.until("q quit")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.leave() == 0


@pytest.mark.parametrize(
    ("words", "changes"), [(("--no-color",), {}), ((), {"NO_COLOR": "1"})], ids=["--no-color", "NO_COLOR"]
)
def test_colours_can_be_refused(peer: Peer, words: tuple[str, ...], changes: dict[str, str]) -> None:
    with on_terminal("--socket", peer.endpoint, "top", *words, **changes) as terminal:
        terminal.until("yes")
        drawn = terminal.shown
        terminal.press("?")
        terminal.until("a new run of it")
        terminal.shown = ""
        terminal.press("q")  # closes the help
        terminal.until("yes")  # the table again
        terminal.press("q")
        assert terminal.leave() == 0
        assert COLOR.findall(drawn + terminal.shown) == []


def test_a_copy_goes_to_the_clipboard_of_the_terminal(peer: Peer) -> None:
    with on_terminal("--socket", peer.endpoint, "top") as terminal:
        terminal.until("yes")
        terminal.press("y")
        terminal.until("copied 1 line")
        assert "\x1b]52;c;" in terminal.shown
        terminal.press("q")
        assert terminal.leave() == 0


def test_what_is_no_terminal_is_told_what_to_use(peer: Peer) -> None:
    ran = stackctl("--socket", peer.endpoint, "top")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "stackctl: cannot show top: stdin is not a terminal",
        "  use: stackctl status, or for programs: stackctl --json status",
    ]


def test_a_dumb_terminal_is_told_so(peer: Peer) -> None:
    ran = stackctl_on_terminal("--socket", peer.endpoint, "top", changes={"TERM": "dumb"})

    assert ran.code == 1
    assert ran.out.splitlines() == [
        "stackctl: cannot show top: this terminal cannot move its cursor (TERM=dumb)",
        "  without it: stackctl status --watch",
    ]


def test_without_stackd_it_does_not_even_begin(tmp_path: Path) -> None:
    ran = stackctl_on_terminal("--socket", f"ipc://{tmp_path}/none", "top")

    assert ran.code == 4
    assert ran.out == f"stackctl: cannot reach stackd at ipc://{tmp_path}/none: it is not running\n"


def test_json_is_refused(peer: Peer) -> None:
    ran = stackctl("--json", "--socket", peer.endpoint, "top")

    assert ran.code == 2
    assert ran.json["error"]["message"] == "cannot show top as JSON: it is for people"


def test_without_textual_it_says_how_to_get_it(peer: Peer, tmp_path: Path) -> None:
    """An installation like this one, but for textual."""
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith("textual"):
            (tmp_path / installed.name).symlink_to(installed)
    terminal, end = pty.openpty()
    ran = subprocess.run(
        # -S: without the site-packages of this Python
        [sys.executable, "-S", *STACKCTL[1:], "--socket", peer.endpoint, "top"],
        env=environment(PYTHONPATH=f"{ROOT}:{tmp_path}", TERM="xterm"),
        stdin=end,
        stdout=end,
        stderr=end,
        timeout=DEADLINE,
        check=False,
    )
    told = os.read(terminal, 65536).decode().split()  # wherever this terminal is too narrow for the path
    os.close(end)
    os.close(terminal)

    assert ran.returncode == 1
    assert " ".join(told) == (
        "stackctl: cannot show top: textual is not installed "
        f"install it with: {Path(sys.executable).with_name('pip')} install 'textual>=8,<9' "
        "without it: stackctl status --watch"
    )
