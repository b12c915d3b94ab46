# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup asks a project's Git repository. Nothing here writes to the repository."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from .errors import ProgramError
from .git_bundle import list_stashes, write_bundle
from .git_command import GitCommand
from .names import printable, to_bytes, to_text
from .programs import redact

_STATUS_SECONDS = 300.0
_DIFF_BYTES = 5 * 1024 * 1024
_ARGUMENT_BYTES = 100_000  # per call; the kernel's limit is a multiple of it


class GitRepo:
    """The work tree around a project, as Git sees it.

    C(warnings) collects, as sentences, what could not be found out; only :meth:`write_unpushed_bundle` raises.
    """

    def __init__(self, command: GitCommand, warnings: list[str]) -> None:
        self._git = command
        self.warnings = warnings

    @classmethod
    def open(cls, project: str, warnings: list[str] | None = None) -> GitRepo | None:
        """The repository that C(project) is in; None when there is none, or none that Git can read.

        :param warnings: gets the reason when there is a repository that cannot be read, and all later warnings
        """
        told = [] if warnings is None else warnings
        command = GitCommand.locate(project)
        if command is None:
            return None
        try:
            command.run("rev-parse", "--git-dir")
        except ProgramError as exc:
            told.append(f"Git cannot read {printable(command.top)}, its history is not kept: {exc}")
            return None
        return cls(command, told)

    def short_sha(self) -> str | None:
        """The checked-out commit, abbreviated to at least 7 digits; None before the first commit."""
        return self._line("rev-parse", "--verify", "--quiet", "--short=7", "HEAD^{commit}")

    def describe(self) -> dict[str, str]:
        """Where the work tree stands: printable text, credentials removed from URLs.

        Keys: work_tree, branch, commit, committed_at, subject, dirty (yes, no, unknown), changed_files,
        untracked_files, stashes, remotes, shallow. Content filters (Git LFS, say) are not run, so a file of theirs that
        was only touched may count as changed.
        """
        branch = self._line("symbolic-ref", "--quiet", "--short", "HEAD")
        commit = self._line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        found = {
            "work_tree": self._git.top,
            "branch": branch or ("(detached)" if commit else "unknown"),
            "commit": commit or "(no commit yet)",
        }
        if commit:
            # A first line that rev-list adds names the commit.
            text = self._output("rev-list", "--max-count=1", "--format=%cI%n%s", commit).splitlines()
            found["committed_at"] = text[1] if len(text) > 1 else "unknown"
            found["subject"] = text[2] if len(text) > 2 else ""
        found.update(self._dirt())
        found["stashes"] = str(len(self._stashes()))
        found["remotes"] = "; ".join(f"{name} {redact(url)}" for name, url in self._remotes()) or "none"
        found["shallow"] = "yes" if self._line("rev-parse", "--is-shallow-repository") == "true" else "no"
        return {key: printable(value) for key, value in found.items()}

    def diff(self) -> bytes:
        """What differs from the checked-out commit, for people to read; cut where it gets long, empty before a commit.

        :raises ProgramError: Git failed
        """
        if self._line("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
            return b""
        arguments = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--", ".")
        text = self._git.run(*arguments, settings=self._git.filter_overrides(), timeout_seconds=_STATUS_SECONDS).stdout
        return text if len(text) <= _DIFF_BYTES else text[:_DIFF_BYTES] + b"\n[cut here]\n"

    def tracked_paths(self, paths: Iterable[str]) -> set[str]:
        """Those of C(paths) (relative to the project) that are files Git has in its index."""
        wanted = {path for path in paths if path and not os.path.isabs(path) and ".." not in path.split("/")}
        tracked: set[str] = set()
        for batch in _batches(sorted(wanted, key=to_bytes)):
            try:
                listing = self._git.run("ls-files", "-z", "--", *batch).stdout
            except ProgramError as exc:
                self.warnings.append(f"Which files Git tracks could not be found out: {exc}")
                break
            tracked.update(to_text(name) for name in listing.split(b"\0") if name)
        return tracked & wanted

    def write_unpushed_bundle(self, destination: str, scratch_dir: str) -> bool:
        """Write what no remote has to C(destination), a file for C(git fetch): see :mod:`git_bundle`.

        :param scratch_dir: a directory on the same file system; the bundle is renamed into place when it is whole
        :returns: False, and no file, when there is nothing to keep
        :raises ProgramError: Git failed; the message is fit for a warning
        """
        return write_bundle(self._git, destination, scratch_dir, self.warnings)

    def _dirt(self) -> dict[str, str]:
        try:
            listing = self._git.run(
                "status",
                "--porcelain=v2",
                "-z",
                "--untracked-files=normal",
                "--ignore-submodules=dirty",
                settings=self._git.filter_overrides(),
                timeout_seconds=_STATUS_SECONDS,
            ).stdout
        except ProgramError as exc:
            self.warnings.append(f"Whether the work tree has uncommitted changes could not be found out: {exc}")
            return {"dirty": "unknown"}
        changed = untracked = 0
        fields = iter(listing.split(b"\0"))
        for field in fields:
            if field.startswith(b"? "):
                untracked += 1
            elif field[:2] in (b"1 ", b"2 ", b"u "):
                changed += 1
                if field.startswith(b"2 "):
                    next(fields, None)  # a rename: the name it had
        dirty = "yes" if changed or untracked else "no"
        return {"dirty": dirty, "changed_files": str(changed), "untracked_files": str(untracked)}

    def _stashes(self) -> list[str]:
        try:
            return list_stashes(self._git)
        except ProgramError as exc:
            self.warnings.append(f"The stashes could not be read: {exc}")
            return []

    def _remotes(self) -> Iterator[tuple[str, str]]:
        listing = self._output("config", "-z", "--get-regexp", r"^remote\..*\.(url|pushurl)$")
        for entry in listing.split("\0"):
            key, _newline, url = entry.partition("\n")
            if key:
                name = key[len("remote.") :].rpartition(".")[0]
                yield (f"{name} (push)" if key.endswith(".pushurl") else name), url

    def _line(self, *arguments: str) -> str | None:
        """First line of what Git says; None when it says nothing or fails."""
        lines = self._output(*arguments).splitlines()
        return lines[0] if lines else None

    def _output(self, *arguments: str) -> str:
        try:
            return self._git.run(*arguments, check=False).stdout.decode("utf-8", "replace")
        except ProgramError as exc:
            self.warnings.append(f"Git did not answer: {exc}")
            return ""


def _batches(paths: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        if batch and size > _ARGUMENT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += len(to_bytes(path)) + 1
    if batch:
        yield batch
