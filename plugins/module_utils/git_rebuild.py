# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a project that came out of a backup its C(.git) again: from its remote, from C(unpushed.bundle), or from both.

The files are the backup's already, so nothing is checked out: the branch of then is put on the commit of then, and the
index on that commit. What had not been committed shows up in C(git status), as it did.

All of it is made in a directory of its own and renamed to C(.git) when it is whole, so a run that was killed leaves no
half repository, and the next one begins anew. A C(.git) that is there is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from . import layout
from .errors import ProgramError, ProjectError
from .git_scratch import ScratchRepository
from .names import printable
from .small_files import read_regular
from .vault import Vault

_MANIFEST_BYTES = 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DETACHED = "(detached)"
_STASH = "refs/cora/stash/"


@dataclass(frozen=True)
class Then:
    """What MANIFEST.txt says of the repository."""

    work_tree: str
    branch: str
    commit: str


def rebuild_history(
    *, vault: str, backup_id: str, project: str, url: Optional[str] = None, check: bool = False
) -> dict[str, Any]:
    """Make C(.git) in a restored project.

    :param url: its remote; None: what the bundle has must do
    :param check: say whether there is anything to do
    :raises ProjectError: the project is not there
    :raises ProgramError: Git is missing
    """
    if not os.path.isdir(project):
        raise ProjectError(f"There is no {printable(project)}: restore it first.")
    result: dict[str, Any] = {"changed": False, "state": "present", "from": [], "stashes": 0, "warnings": []}
    if os.path.lexists(os.path.join(project, ".git")):
        return result
    backup = Vault(vault).path_of(backup_id)
    then = read_then(backup)
    bundle = os.path.join(backup, layout.BUNDLE)
    result["state"] = "none"
    if then is None:
        result["warnings"].append("The project was in no Git repository when it was backed up; no .git was made.")
        return result
    if os.path.normpath(then.work_tree) != os.path.normpath(_origin(backup)):
        result["warnings"].append(
            f"The project was a part of the repository in {printable(then.work_tree)}: clone that by hand."
        )
        return result
    if not url and not os.path.exists(bundle):
        result["warnings"].append(
            "No remote was named, and every commit was on one: give project_git to get .git back."
        )
        return result
    if check:
        return {**result, "changed": True, "state": "rebuilt"}
    return _rebuild(project, then, url, bundle if os.path.exists(bundle) else None, result)


def read_then(backup: str) -> Optional[Then]:
    """Where the repository stood; None when there was none."""
    section = ""
    found: dict[str, str] = {}
    for line in read_regular(os.path.join(backup, layout.MANIFEST), limit_bytes=_MANIFEST_BYTES).splitlines():
        if line.startswith("["):
            section = line
        elif section == "[git]" and ": " in line:
            key, _colon, value = line.partition(": ")
            found.setdefault(key, value)
    if "work_tree" not in found:
        return None
    return Then(found["work_tree"], found.get("branch", ""), found.get("commit", ""))


def _origin(backup: str) -> str:
    return str(layout.read_report(backup)["project"])


def _rebuild(
    project: str, then: Then, url: Optional[str], bundle: Optional[str], result: dict[str, Any]
) -> dict[str, Any]:
    scratch = ScratchRepository.create(project)
    try:
        if url:
            _note(result, "remote", _try(scratch.fetch_remote, url))
        if bundle:
            _note(result, "bundle", _try(scratch.fetch_bundle, bundle))
        if not result["from"]:
            return result
        _place_head(scratch, then, result)
        result["stashes"] = _bring_stashes(scratch)
        scratch.publish()
    finally:
        shutil.rmtree(scratch.path, ignore_errors=True)
    return {**result, "changed": True, "state": "rebuilt"}


def _try(work: Callable[[str], None], source: str) -> Optional[str]:
    """None, or why it failed: files come first, and a remote that is gone must not stop what else can be had."""
    try:
        work(source)
    except ProgramError as error:
        if error.returncode == 127:
            raise
        return str(error)
    return None


def _note(result: dict[str, Any], source: str, problem: Optional[str]) -> None:
    if problem is None:
        result["from"].append(source)
    elif source == "remote":
        result["warnings"].append(f"The Git remote could not be read; what only it has is missing: {problem}")
    else:
        result["warnings"].append(
            "git/unpushed.bundle could not be taken; it builds on commits of the remote, so run this again when that "
            f"can be reached: {problem}"
        )


def _place_head(scratch: ScratchRepository, then: Then, result: dict[str, Any]) -> None:
    """Where HEAD, its branch and the index were when the backup was made."""
    if not _COMMIT.fullmatch(then.commit):
        return  # before the first commit
    branch = then.branch if then.branch != _DETACHED and scratch.is_branch_name(then.branch) else ""
    commit = then.commit
    if not scratch.has_commit(commit):
        other = scratch.tip(f"refs/remotes/origin/{branch}") if branch else None
        result["warnings"].append(
            f"Commit {commit}, on which the backup was made, is not to be had any more (a forced push?); "
            + (f"Git compares with origin's {printable(branch)}." if other else "so no branch is checked out.")
        )
        if other is None:
            return
        commit = other
    if branch:
        scratch.put_branch(branch, commit)
    scratch.put_head(branch, commit)
    result["branch"], result["commit"] = printable(branch), commit


def _bring_stashes(scratch: ScratchRepository) -> int:
    """C(git stash list) is a log, its newest entry last."""
    stashes = {name: oid for name, oid in scratch.refs(_STASH).items() if name[len(_STASH) :].isdigit()}
    for name in sorted(stashes, key=lambda name: int(name[len(_STASH) :]), reverse=True):
        scratch.add_stash(stashes[name])
    for name in scratch.refs("refs/cora/"):
        scratch.keep_as(name, "refs/restored/" + name[len("refs/cora/") :], keep=name not in stashes)
    return len(stashes)
