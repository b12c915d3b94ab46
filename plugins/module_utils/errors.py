# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the engine: one small tree.

Every message says what happened, where, and what to do. A module catches C(CoraError) once, in C(main()).
"""

from __future__ import annotations

from collections.abc import Sequence


class CoraError(Exception):
    """What the engine raises; its text is meant for the person who ran the command."""


class SettingsError(CoraError):
    """The request itself is wrong: contradicting options, a path that cannot be, a pattern that does not parse."""


class ProjectError(CoraError):
    """The project is missing, is no directory, or cannot be read."""


class VaultError(CoraError):
    """The vault cannot be used: missing, read-only, full, on the wrong file system."""


class LockedError(VaultError):
    """Another run holds the vault."""


class SealError(VaultError):
    """Immutability was asked for and did not hold when it was read back."""


class NotFoundError(CoraError):
    """No backup, or no entry of a backup, answers to that name; or more than one does."""


class IntegrityError(CoraError):
    """Stored bytes are not what they were when they were written."""


class RestoreError(CoraError):
    """A restore did not take place, or was taken back (C(rolled_back))."""

    rolled_back = False


class TargetBusyError(RestoreError):
    """Another process holds open what would be replaced."""


class ServiceError(RestoreError):
    """A service did not stop, did not start, or did not become healthy."""


class OffsiteError(CoraError):
    """The copy elsewhere could not be made, read or removed; what stands in the vault is not touched by that.

    C(code) is what the service called it, where it was the service.
    """

    code = ""


class OffsiteCredentialsError(OffsiteError):
    """The service does not know the access key, or its secret is another."""


class OffsitePermissionError(OffsiteError):
    """The key is known, and may not do this."""


class OffsiteMissingError(OffsiteError):
    """There is no such bucket, or no such object in it."""


class OffsiteRegionError(OffsiteError):
    """The bucket is in another region, or at another address."""


class OffsiteClockError(OffsiteError):
    """The clock of this machine and that of the service are too far apart."""


class OffsiteThrottledError(OffsiteError):
    """The service asked to slow down, again and again."""


class OffsiteQuotaError(OffsiteError):
    """The bucket or the account may hold no more."""


class OffsiteTlsError(OffsiteError):
    """The service could not prove who it is."""


class OffsiteNetworkError(OffsiteError):
    """The service cannot be reached, or the connection broke."""


class OffsiteUnsupportedError(OffsiteError):
    """The service cannot do this."""


class WorkerError(CoraError):
    """A process that did part of the work was killed before it was done."""


class ProgramError(CoraError):
    """Another program failed.

    :param argv: what was run
    :param returncode: its exit status; negative for a signal, 127 when the program is missing
    :param stderr: the end of what it said, with credentials removed
    """

    def __init__(self, message: str, *, argv: Sequence[str] = (), returncode: int = 0, stderr: str = "") -> None:
        super().__init__(message)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr
