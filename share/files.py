"""What there is, and where systems look for it below share/."""

from __future__ import annotations

from collections.abc import Callable

from share import bash, fish, pages, zsh

FILES: dict[str, Callable[[], str]] = {
    "man/man1/stackctl.1": pages.stackctl,
    "man/man5/stackd.toml.5": pages.stackd_toml,
    "man/man8/stackd.8": pages.stackd,
    "bash-completion/completions/stackctl": bash.completion,
    "zsh/site-functions/_stackctl": zsh.completion,
    "fish/vendor_completions.d/stackctl.fish": fish.completion,
}
