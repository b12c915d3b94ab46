# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account that a service belongs to, and how to run its programs as that account."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import ServiceError
from .names import printable
from .programs import Completed, run


@dataclass(frozen=True)
class Account:
    """An account with its home directory and all its groups."""

    name: str
    uid: int
    gid: int
    home: str
    groups: tuple[int, ...]

    @classmethod
    def named(cls, user: str | None) -> Account:
        """The account of that name; None: the one this process runs as.

        :raises ServiceError: there is no such account, or this process may not act as it
        """
        try:
            found = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        except KeyError:
            raise ServiceError(f"There is no account {printable(user or str(os.geteuid()))} on this host.") from None
        if found.pw_uid != os.geteuid() and os.geteuid() != 0:
            raise ServiceError(f"Only root can handle a service of {printable(found.pw_name)}: run this as root.")
        groups = tuple(os.getgrouplist(found.pw_name, found.pw_gid))
        return cls(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir, groups)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        outlived: bool = False,
        cwd: str = "/",
    ) -> Completed:
        """Run a program as this account, if nothing else is said in no directory that a restore could be about to move.

        :raises ProgramError: as :func:`programs.run`
        """
        return run(
            argv,
            cwd=cwd,
            as_uid=self.uid,
            as_gid=self.gid,
            as_groups=self.groups,
            env={"HOME": self.home, **(env or {})},
            timeout_seconds=timeout_seconds,
            check=check,
            outlived=outlived,
        )
