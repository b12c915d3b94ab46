# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository as the installation of the hook sees it: its places, its settings, its owner's rights."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Optional

from .errors import ProgramError, ProjectError
from .names import printable, to_bytes, to_text
from .programs import Completed, run
from .small_files import read_regular

_HOOK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Repository:
    """Where things are.

    :param top: top of the work tree
    :param common: the Git directory that all work trees of the repository share
    :param uid: its owner, where this is root and the owner is not
    """

    top: str
    common: str
    uid: Optional[int]
    gid: Optional[int]

    @property
    def own_directory(self) -> str:
        """Cora's own directory of hooks."""
        return os.path.join(self.common, "cora-hooks")

    @property
    def plain_directory(self) -> str:
        """Where hooks are unless core.hooksPath says otherwise."""
        return os.path.join(self.common, "hooks")

    def git(self, *arguments: str, check: bool = True) -> Completed:
        """Run Git at the top of the work tree.

        :raises ProgramError: it failed
        """
        # As its owner, whose global configuration counts, and on whose behalf nothing can be run as root.
        argv = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=", *arguments]
        return run(argv, cwd=self.top, as_uid=self.uid, as_gid=self.gid, check=check)

    def config(self, *arguments: str) -> list[str]:
        """The values that C(git config) prints; none where it fails."""
        done = self.git("config", "-z", *arguments, check=False)
        return [to_text(value) for value in done.stdout.split(b"\0")[:-1]] if done.returncode == 0 else []

    @contextmanager
    def as_owner(self) -> Iterator[None]:
        """File work with the owner's rights: in directories of theirs, names may lead anywhere."""
        if self.uid is None or os.geteuid() != 0:
            yield
            return
        groups, gid = os.getgroups(), os.getegid()
        os.setgroups([])
        os.setegid(self.gid if self.gid is not None else gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)

    def do(self, deed: Callable[..., object], *arguments: Any) -> None:
        """C(deed) with the owner's rights."""
        with self.as_owner():
            deed(*arguments)

    def content(self, path: str) -> Optional[bytes]:
        """The beginning of a file, empty where something else is; None where nothing is."""
        with self.as_owner():
            if not os.path.lexists(path):
                return None
            return b"" if os.path.islink(path) else to_bytes(read_regular(path, limit_bytes=_HOOK_BYTES))


def open_repository(project: str) -> Repository:
    """The repository that a directory is in.

    :raises ProjectError: there is none, or Git cannot read it
    """
    if not os.path.isdir(project):
        raise ProjectError(f"The project {printable(project)} is not a directory (or not there).")
    uid, gid = _owner(project)
    here = Repository(os.path.realpath(project), "", uid, gid)
    try:
        output = to_text(here.git("rev-parse", "--show-toplevel", "--git-common-dir").stdout)
    except ProgramError as error:
        raise ProjectError(f"{printable(project)} is in no Git work tree that could be read: {error}") from error
    lines = output.split("\n")
    if len(lines) != 3:
        raise ProjectError(f"The path of the Git repository of {printable(project)} has a line break.")
    return Repository(lines[0], os.path.realpath(os.path.join(here.top, lines[1])), uid, gid)


def _owner(project: str) -> tuple[Optional[int], Optional[int]]:
    """Whose rights are used: the owner's, where this is root and the owner is not."""
    status = os.stat(project)
    if os.geteuid() != 0 or status.st_uid == 0:
        return None, None
    try:
        return status.st_uid, pwd.getpwuid(status.st_uid).pw_gid
    except KeyError:
        return status.st_uid, status.st_gid


def hooks_path(repository: Repository) -> tuple[str, str]:
    """Where core.hooksPath is set and to what; scope "" where it is not.

    :raises ProjectError: it is set where cora cannot overrule it
    """
    values = repository.config("--show-scope", "--type=path", "--get", "core.hooksPath")
    if not values:
        return "", ""
    scope, path = (values[0], values[1]) if len(values) > 1 else ("unknown", values[0])
    if scope == "worktree":
        raise ProjectError(
            f"core.hooksPath of the work tree {printable(repository.top)} is set for this work tree alone, which wins "
            "over what cora could set: remove it (git config --worktree --unset core.hooksPath) and run this again."
        )
    return scope, path


def check_place(repository: Repository, directory: str) -> None:
    """Whether Git looks for hooks where they are now.

    :raises ProjectError: it does not
    """
    text = to_text(repository.git("rev-parse", "--git-path", "hooks").stdout).rstrip("\n")
    if os.path.realpath(os.path.join(repository.top, text)) != os.path.realpath(directory):
        raise ProjectError(
            f"The hook is in {printable(directory)}, but Git looks for hooks in {printable(text)}: something sets "
            "core.hooksPath again (git config --show-origin --get-all core.hooksPath)."
        )


def write_hook(path: str, content: bytes) -> None:
    """Write an executable file, all of it or nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.cora-new-{os.getpid()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o755)
            os.fsync(file.fileno())
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise
