# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository in the making: only this process writes to it, so its configuration is ours and Git may use the network.

Git runs as whoever calls, with that person's keys, and the finished repository is given to the owner of the project.
"""

from __future__ import annotations

import os
import re
import shutil
from urllib.parse import unquote

from .durable import sync_directory, sync_file_system
from .errors import RestoreError, SettingsError
from .names import printable, to_text
from .programs import Completed, home_of, run

_FETCH_SECONDS = 6 * 3600.0
#: How a person reaches a remote: an agent's keys, a proxy, a company's certificates. Nothing else is passed on.
_PASSED_ON = (
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
)
#: Nobody is there to be asked. A new machine knows no host yet; that the right one answered is seen by its commits.
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
#: Git hands the address to its helper for HTTP as a word, so a password in it would show; this one comes from here.
_HELPER = '!printf "username=%s\\npassword=%s\\n" "$CORA_GIT_USER" "$CORA_GIT_PASSWORD"; :'
_WITH_PASSWORD = re.compile(r"(https?://)([^/@:]*):([^/@]*)@(.*)")


class ScratchRepository:
    """A C(.git) that is not yet in its place."""

    def __init__(self, path: str, project: str) -> None:
        self.path = path
        self._project = project
        self._credential: dict[str, str] = {}

    @classmethod
    def create(cls, project: str) -> ScratchRepository:
        """An empty one beside the project, or in it where the project is a file system of its own.

        :raises RestoreError: it cannot be made
        """
        parent, name = os.path.split(os.path.normpath(project))
        place = parent if os.stat(parent).st_dev == os.stat(project).st_dev else project
        path = os.path.join(place, f".{name}.git-cora-new")
        try:
            if os.path.lexists(path):
                shutil.rmtree(path)  # of a run that was killed; rmtree follows no link
            os.mkdir(path, 0o700)
        except OSError as error:
            raise RestoreError(f"Cannot make {printable(path)}: {error.strerror}.") from error
        repository = cls(path, project)
        repository._git("init", "--quiet", "--bare")
        return repository

    def fetch_remote(self, url: str) -> None:
        """All branches and tags of a remote, which becomes C(origin).

        :raises SettingsError: this is no URL
        :raises ProgramError: it cannot be read
        """
        if not url.isprintable() or url.startswith("-"):
            raise SettingsError("The Git remote is no URL.")
        url, self._credential = _without_password(url)
        # never on a command line, which all can see
        escaped = url.replace("\\", "\\\\").replace('"', '\\"')
        with open(os.path.join(self.path, "config"), "a", encoding="utf-8") as config:
            config.write(f'[remote "origin"]\n\turl = "{escaped}"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n')
        self._git("fetch", "--quiet", "--tags", "origin", timeout_seconds=_FETCH_SECONDS)
        self._git("remote", "set-head", "origin", "--auto", check=False)

    def fetch_bundle(self, path: str) -> None:
        """Everything of a bundle, under the names it has there: the person's own branches and tags win.

        :raises ProgramError: it lacks commits, or is damaged
        """
        self._git("fetch", "--quiet", path, "+refs/*:refs/*", timeout_seconds=_FETCH_SECONDS)

    def has_commit(self, commit: str) -> bool:
        """Whether a commit is there; what it builds on came with it, or Git would not have taken it."""
        return self._git("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0

    def is_branch_name(self, name: str) -> bool:
        """Whether Git would take it for one."""
        return bool(name) and self._git("check-ref-format", "--branch", name, check=False).returncode == 0

    def tip(self, ref: str) -> str | None:
        """The commit a ref stands for."""
        answer = self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", check=False)
        return to_text(answer.stdout).strip() or None

    def refs(self, prefix: str) -> dict[str, str]:
        """Name and object of each ref below a prefix."""
        lines = to_text(self._git("for-each-ref", "--format=%(refname) %(objectname)", prefix).stdout).splitlines()
        return {name: oid for name, _space, oid in (line.partition(" ") for line in lines)}

    def put_branch(self, branch: str, commit: str) -> None:
        """A branch at this commit, which follows origin's branch of that name where there is one."""
        self._git("update-ref", f"refs/heads/{branch}", commit)
        if self.tip(f"refs/remotes/origin/{branch}"):
            self._git("config", f"branch.{branch}.remote", "origin")
            self._git("config", f"branch.{branch}.merge", f"refs/heads/{branch}")

    def put_head(self, branch: str, commit: str) -> None:
        """HEAD on a branch, or on a commit without one, and the index as that commit has it."""
        if branch:
            self._git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        else:
            self._git("update-ref", "--no-deref", "HEAD", commit)
        self._git("read-tree", commit)

    def add_stash(self, commit: str) -> None:
        """One more entry on top of the stashes."""
        subject = to_text(self._git("log", "-1", "--format=%s", commit).stdout).strip() or "restored"
        self._git("update-ref", "--create-reflog", "-m", subject, "refs/stash", commit)

    def keep_as(self, ref: str, name: str, *, keep: bool) -> None:
        """Move a ref, or drop it."""
        if keep:
            self._git("update-ref", name, ref)
        self._git("update-ref", "-d", ref)

    def publish(self) -> None:
        """Give it to the owner of the project, and put it in its place.

        :raises RestoreError: it cannot be
        """
        self._git("config", "core.bare", "false")
        self._git("config", "core.logAllRefUpdates", "true")
        target = os.path.join(self._project, ".git")
        try:
            owner = os.stat(self._project)
            os.chmod(self.path, 0o755)
            if os.geteuid() == 0:
                _give(self.path, owner.st_uid, owner.st_gid)
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                sync_file_system(fd)
            finally:
                os.close(fd)
            os.rename(self.path, target)
        except OSError as error:
            raise RestoreError(f"The repository cannot be put at {printable(target)}: {error.strerror}.") from error
        sync_directory(self._project)

    def _git(self, *arguments: str, timeout_seconds: float = 600.0, check: bool = True) -> Completed:
        environment = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
        environment.setdefault("GIT_SSH_COMMAND", _SSH)
        environment.update(
            GIT_DIR=self.path,
            GIT_TERMINAL_PROMPT="0",
            GIT_ALLOW_PROTOCOL="file:git:http:https:ssh",
            HOME=home_of(os.geteuid()),
            **self._credential,
        )
        settings = ["core.hooksPath=/dev/null", "gc.auto=0", "maintenance.auto=false", "init.defaultBranch=main"]
        if self._credential:
            settings.append(f"credential.helper={_HELPER}")
        words = [word for setting in settings for word in ("-c", setting)]
        return run(["git", *words, *arguments], cwd="/", env=environment, timeout_seconds=timeout_seconds, check=check)


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """An address, and what its password is handed over in."""
    match = _WITH_PASSWORD.fullmatch(url)
    if match is None:
        return url, {}
    scheme, user, password, rest = match.groups()
    return scheme + rest, {"CORA_GIT_USER": unquote(user), "CORA_GIT_PASSWORD": unquote(password)}


def _give(top: str, uid: int, gid: int) -> None:
    for directory, below, names in os.walk(top):
        os.chown(directory, uid, gid)
        for name in (*below, *names):
            os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)
