# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Git, called in somebody else's repository without doing what that repository's configuration says.

A repository's configuration can name programs: file monitors, hooks, filters, helpers, transports. Whoever may
write it could run them as whoever calls Git there. Three things stand against that: where root calls, Git runs as
the repository's owner; what names a program is overridden on the command line; and no transport is allowed, so
nothing is fetched either.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import Any

from .errors import ProgramError
from .names import to_text
from .programs import Completed, run
from .small_files import read_regular

#: Settings that a repository must not decide. Git takes an empty value as "none" in all of them.
_OVERRIDES = (
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.askPass=",
    "core.alternateRefsCommand=",
    "core.attributesFile=/dev/null",
    "credential.helper=",
    "diff.external=",
    "gpg.program=false",
    "log.showSignature=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",
)

#: Nothing is written (not even a refreshed index), asked, fetched or replaced, and no other configuration file is read.
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
}


@dataclass(frozen=True)
class GitCommand:
    """How to call Git in one work tree.

    :param top: top directory of the work tree
    :param directory: where Git is called: C(top), or a directory below it
    :param uid: the account Git runs as; None: this process's own
    """

    top: str
    directory: str
    uid: int | None
    gid: int | None

    @classmethod
    def locate(cls, directory: str) -> GitCommand | None:
        """The work tree around C(directory), found without calling Git; None when there is none."""
        real = os.path.realpath(directory)
        top = real
        while not os.path.lexists(os.path.join(top, ".git")):
            parent = os.path.dirname(top)
            if parent == top:
                return None
            top = parent
        uid, gid = _account(top)
        return cls(top, real, uid, gid)

    def run(
        self, *arguments: str, settings: tuple[str, ...] = (), timeout_seconds: float = 60.0, **options: Any
    ) -> Completed:
        """Run C(git ARGUMENTS).

        :param settings: more C(name=value) overrides
        :param options: as for :func:`programs.run`
        :raises ProgramError: when Git is missing or fails
        """
        argv = ["git"]
        for setting in _OVERRIDES + settings:
            argv += ["-c", setting]
        # An explicit directory: Git neither searches further up nor minds who owns it (releases differ in where they
        # look for safe.directory).
        environment = {**_ENVIRONMENT, "GIT_DIR": os.path.join(self.top, ".git"), "GIT_WORK_TREE": self.top}
        return run(
            [*argv, *arguments],
            cwd=self.directory,
            env=environment,
            as_uid=self.uid,
            as_gid=self.gid,
            timeout_seconds=timeout_seconds,
            **options,
        )

    def filter_overrides(self) -> tuple[str, ...]:
        """Overrides that empty every content filter the configuration defines: C(git status) would run them.

        :raises ProgramError: Git fails, or a filter's name cannot be written on the command line
        """
        listing = self.run("config", "-z", "--name-only", "--get-regexp", r"^filter\.", check=False).stdout
        names = {to_text(key.rpartition(b".")[0]) for key in listing.split(b"\0") if key}
        if any("=" in name for name in names):
            raise ProgramError("A filter of this repository has a name with '=' and cannot be switched off.")
        return tuple(
            f"{name}.{part}" for name in sorted(names) for part in ("clean=", "process=", "smudge=", "required=false")
        )


def _account(top: str) -> tuple[int | None, int | None]:
    """Whom Git runs as: nobody else, unless this is root and somebody else could have written the configuration."""
    if os.geteuid() != 0:
        return None, None
    for path in _decisive_paths(top):
        try:
            status = os.stat(path)
        except OSError:
            continue
        if status.st_uid != 0:
            gid = _primary_group(status)
            # Below a directory that its owner cannot enter (/root, with files unpacked under foreign numbers) Git can
            # only work as root; an owner who cannot get there has not written the configuration either.
            return (status.st_uid, gid) if _can_enter(top, status.st_uid, gid) else (None, None)
    return None, None


def _decisive_paths(top: str) -> list[str]:
    """What decides which configuration Git reads: whoever owns one of these can put his own in place."""
    entry = os.path.join(top, ".git")
    directory = entry
    if not os.path.isdir(entry):
        directory = os.path.join(top, read_regular(entry).partition("gitdir:")[2].strip())
    common = os.path.join(directory, read_regular(os.path.join(directory, "commondir")).strip())
    return [os.path.join(common, "config"), common, directory, entry, top]


def _primary_group(status: os.stat_result) -> int:
    try:
        return pwd.getpwuid(status.st_uid).pw_gid
    except KeyError:
        return status.st_gid


def _can_enter(path: str, uid: int, gid: int) -> bool:
    try:
        return run(["test", "-x", path], as_uid=uid, as_gid=gid, check=False).returncode == 0
    except ProgramError:
        return False
