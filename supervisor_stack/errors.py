"""The errors that a person may meet, as one tree.

    StackError                    kind               exit code of stackctl
      ConfigError                 config-invalid     6    (4 for queries)
      SpawnError                  spawn-failed       1
      InUseError                  already-running    1    (stackd itself exits 73)
      RequestError                bad-request        2
        UnknownServiceError       unknown-service    4
        ProtocolVersionError      protocol-version   1
      RefusedError                refused            1
      NotPermittedError           not-permitted      4
      UnreachableError            not-running        7    (4 for queries)
      TimedOutError               timed-out          124
      OperationError              failed             1

Every message reads "cannot VERB OBJECT: cause"; `detail` holds the evidence and what is true now,
as lines. `kind` is part of the public interface: scripts compare it, so a kind is never renamed.
"""

from __future__ import annotations

from typing import ClassVar


class StackError(Exception):
    """Something that the person who runs stackd or stackctl can act upon."""

    kind: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, detail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class ConfigError(StackError):
    """The configuration does not describe a stack; `detail` has one line for each mistake."""

    kind = "config-invalid"
    exit_code = 6


class SpawnError(StackError):
    """A process could not be started at all."""

    kind = "spawn-failed"


class InUseError(StackError):
    """Another stackd holds this runtime directory."""

    kind = "already-running"


class RequestError(StackError):
    """A request that stackd does not understand."""

    kind = "bad-request"
    exit_code = 2


class UnknownServiceError(RequestError):
    """A request names a service that the stack does not have."""

    kind = "unknown-service"
    exit_code = 4


class ProtocolVersionError(RequestError):
    """The two sides speak different versions of the control protocol."""

    kind = "protocol-version"
    exit_code = 1


class RefusedError(StackError):
    """A request that makes no sense in the present state, such as stopping what others need."""

    kind = "refused"


class NotPermittedError(StackError):
    """The caller may not talk to this stackd."""

    kind = "not-permitted"
    exit_code = 4


class UnreachableError(StackError):
    """No stackd answers at the control socket."""

    kind = "not-running"
    exit_code = 7


class TimedOutError(StackError):
    """stackd did not answer, or did not finish, within the time that the caller gave."""

    kind = "timed-out"
    exit_code = 124


class OperationError(StackError):
    """An operation was carried out and did not succeed."""

    kind = "failed"
