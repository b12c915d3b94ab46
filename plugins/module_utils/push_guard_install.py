# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook pre-push put in its place, beside whatever hook is there, and taken away again.

A repository without C(core.hooksPath): the hook goes to C(.git/hooks); one that is there is kept as
C(pre-push.cora-chained). With C(core.hooksPath) (Husky, a company's global hooks): that directory belongs to somebody
else, is often part of the project, and its hooks look at their own name and place. It is left alone; the repository's
C(core.hooksPath) is pointed to C(.git/cora-hooks), whose hooks hand over to it.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

from .errors import ProjectError, SettingsError
from .names import free_name, printable, to_bytes
from .push_guard_repository import Repository, check_place, hooks_path, open_repository, write_hook

#: In the second line of every version of the hook.
MARK = b"# cora-push-guard"
OVER_LIMIT_CHOICES = ("warn", "stop")

_HOOK = "pre-push"
_CHAINED = "pre-push.cora-chained"
_REMEMBERED = "cora-push-guard"
_OWN_SETTINGS = (
    "cora.pushGuard",
    "cora.pushLimit",
    "cora.pushHardLimit",
    "cora.pushOverLimit",
    "cora.pushCommand",
    "cora.pushArgument",
)

#: Hooks whose mere presence changes nothing. Others are handed over only where there is one.
_HARMLESS = (
    "applypatch-msg",
    "commit-msg",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-rewrite",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-rebase",
    "prepare-commit-msg",
    "sendemail-validate",
)
_OTHERS = ("post-index-change", "push-to-checkout", "reference-transaction")


@dataclass(frozen=True)
class GuardSettings:
    """What the hook shall do.

    :param project: a directory in the work tree
    :param hook: the hook's text
    :param limit_bytes: files over it are meant; 0: none but those over C(hard_limit_bytes)
    :param hard_limit_bytes: what the host refuses; 0: nothing
    :param over_limit: C(warn) or C(stop)
    :param command: full path of cora
    :param arguments: what makes a backup
    """

    project: str
    hook: str
    limit_bytes: int
    hard_limit_bytes: int
    over_limit: str
    command: str
    arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        if MARK not in to_bytes(self.hook):
            raise SettingsError("This is not the hook of cora: its mark is missing.")
        if self.limit_bytes < 0 or self.hard_limit_bytes < 0:
            raise SettingsError("A limit cannot be negative; 0 means none.")
        if self.over_limit not in OVER_LIMIT_CHOICES:
            raise SettingsError(f"over_limit is one of {', '.join(OVER_LIMIT_CHOICES)}, not {self.over_limit!r}.")
        if not os.path.isabs(self.command):
            raise SettingsError(f"command must be an absolute path, not {self.command!r}.")
        if not self.arguments or any("\n" in word or not word for word in self.arguments):
            raise SettingsError("The arguments of the backup must be words without line breaks.")


@dataclass
class _Plan:
    """What is to be done, in order: a sentence and the deed."""

    steps: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, text: str, step: Callable[[], object]) -> None:
        self.steps.append((text, step))


def install_guard(settings: GuardSettings, *, check: bool = False) -> dict[str, Any]:
    """Put the hook in its place, or change it to what it shall be.

    :param check: change nothing
    :returns: changed, changes (sentences), warnings, hook (path), chained (path of the hook it hands over to, or None),
        owner (whose repository it is), command_note (why the command must not be run by root for others; empty: it may)
    :raises CoraError: no repository, or a configuration that leaves no place for the hook
    """
    repository = open_repository(settings.project)
    plan = _Plan()
    scope, path = hooks_path(repository)
    if scope == "" or os.path.realpath(os.path.join(repository.top, path)) == repository.plain_directory:
        directory, chained = repository.plain_directory, _plan_plain(plan, repository, settings.hook)
    else:
        directory, chained = repository.own_directory, _plan_directory(plan, repository, settings.hook, scope, path)
    _plan_settings(plan, repository, settings)
    _carry_out(plan, repository, check)
    if not check:
        check_place(repository, directory)
    return {
        **_result(plan, repository),
        "hook": os.path.join(directory, _HOOK),
        "chained": chained,
        "command_note": command_note(settings.command),
    }


def remove_guard(project: str, *, check: bool = False) -> dict[str, Any]:
    """Take the hook away and put back what was there before.

    :returns: changed, changes, warnings, owner
    :raises CoraError: no repository, or not writable
    """
    repository = open_repository(project)
    plan = _Plan()
    if repository.config("--local", "--get", "core.hooksPath") == [repository.own_directory]:
        _plan_path_back(plan, repository)
    _plan_plain_back(plan, repository)
    _plan_directory_away(plan, repository)
    for name in _OWN_SETTINGS:
        if repository.config("--local", "--get-all", name):
            plan.add(f"unset {name}", lambda name=name: repository.git("config", "--local", "--unset-all", name))  # type: ignore[misc]
    remembered = os.path.join(repository.common, _REMEMBERED)
    if os.path.lexists(remembered):
        plan.add(f"remove {remembered}", lambda: repository.do(os.unlink, remembered))
    _carry_out(plan, repository, check)
    return _result(plan, repository)


def command_note(command: str) -> str:
    """Why somebody who is not root could change what C(command) runs, as a sentence; empty: nobody can.

    Looks at the file and at every directory above it, behind symbolic links too.
    """
    for path in dict.fromkeys((*_upwards(command), *_upwards(os.path.realpath(command)))):
        try:
            status = os.lstat(path)
        except OSError as error:
            return f"{printable(path)} cannot be looked at: {error.strerror}."
        if stat.S_ISLNK(status.st_mode):
            continue
        sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if status.st_uid != 0 or (status.st_mode & 0o022 and not sticky):
            return f"{printable(path)} can be changed by others than root."
    return ""


def _upwards(path: str) -> Iterator[str]:
    yield path
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        yield path


# --- .git/hooks ---


def _plan_plain(plan: _Plan, repository: Repository, hook: str) -> Optional[str]:
    path = os.path.join(repository.plain_directory, _HOOK)
    chained = os.path.join(repository.plain_directory, _CHAINED)
    present = repository.content(path)
    if present is not None and MARK not in present:
        if os.path.lexists(chained):
            # something put a new hook over ours: that one counts, the older is not thrown away
            older = free_name(f"{chained}.old")
            plan.add(f"rename {chained} to {older}", lambda: repository.do(os.rename, chained, older))
        plan.add(f"rename {path} to {chained}", lambda: repository.do(os.rename, path, chained))
        _plan_write(plan, repository, path, hook)
        return chained
    if present != to_bytes(hook) or not os.access(path, os.X_OK):
        _plan_write(plan, repository, path, hook)
    return chained if os.path.lexists(chained) else None


def _plan_plain_back(plan: _Plan, repository: Repository) -> None:
    path = os.path.join(repository.plain_directory, _HOOK)
    chained = os.path.join(repository.plain_directory, _CHAINED)
    present = repository.content(path)
    if present is not None and MARK not in present:
        if os.path.lexists(chained):
            plan.warnings.append(f"{printable(path)} is not cora's, so {printable(chained)} is left beside it.")
    elif os.path.lexists(chained):
        plan.add(f"rename {chained} to {path}", lambda: repository.do(os.rename, chained, path))
    elif present is not None:
        plan.add(f"remove {path}", lambda: repository.do(os.unlink, path))


# --- .git/cora-hooks ---


def _plan_directory(plan: _Plan, repository: Repository, hook: str, scope: str, path: str) -> Optional[str]:
    own = repository.own_directory
    saved = repository.config("--local", "--get", "cora.hooksPath")
    ours = scope == "local" and path == own
    if ours:
        path = _former_path(repository, saved)
    former = os.path.join(repository.top, path)
    hook_path = os.path.join(own, _HOOK)
    if repository.content(hook_path) != to_bytes(hook) or not os.access(hook_path, os.X_OK):
        _plan_write(plan, repository, hook_path, hook)
    for name in (*_HARMLESS, *(other for other in _OTHERS if os.path.lexists(os.path.join(former, other)))):
        link = os.path.join(own, name)
        if not os.path.lexists(link):
            plan.add(f"link {link}", lambda link=link: repository.do(os.symlink, _HOOK, link))  # type: ignore[misc]
    if not ours:
        # as it was written there, since it may be relative to each work tree
        raw = repository.config("--local", "--get", "core.hooksPath") if scope == "local" else []
        if saved != raw:
            _plan_value(plan, repository, "cora.hooksPath", raw)
        plan.add(f"set core.hooksPath to {own}", lambda: repository.git("config", "--local", "core.hooksPath", own))
    chained = os.path.join(former, _HOOK)
    return chained if os.path.lexists(chained) else None


def _former_path(repository: Repository, saved: list[str]) -> str:
    for scope in ("--local", "--global", "--system"):
        name = "cora.hooksPath" if scope == "--local" else "core.hooksPath"
        values = repository.config(scope, "--type=path", "--get", name) if saved or scope != "--local" else []
        if values:
            return values[0]
    return repository.plain_directory


def _plan_path_back(plan: _Plan, repository: Repository) -> None:
    saved = repository.config("--local", "--get", "cora.hooksPath")
    if saved:
        path = saved[0]
        plan.add(f"set core.hooksPath to {path}", lambda: repository.git("config", "--local", "core.hooksPath", path))
    else:
        plan.add("unset core.hooksPath", lambda: repository.git("config", "--local", "--unset-all", "core.hooksPath"))


def _plan_directory_away(plan: _Plan, repository: Repository) -> None:
    own = repository.own_directory
    if repository.config("--local", "--get", "cora.hooksPath"):
        _plan_value(plan, repository, "cora.hooksPath", [])
    if not os.path.isdir(own) or os.path.islink(own):
        return
    kept = []
    for name in sorted(os.listdir(own)):
        path = os.path.join(own, name)
        is_link = os.path.islink(path) and os.readlink(path) == _HOOK
        if is_link or (name == _HOOK and MARK in (repository.content(path) or b"")):
            plan.add(f"remove {path}", lambda path=path: repository.do(os.unlink, path))  # type: ignore[misc]
        else:
            kept.append(path)
    if kept:
        plan.warnings.append(f"Not cora's, so it is left: {', '.join(printable(path) for path in kept)}")
    else:
        plan.add(f"remove {own}", lambda: repository.do(os.rmdir, own))


# --- settings ---


def _plan_settings(plan: _Plan, repository: Repository, settings: GuardSettings) -> None:
    values = (
        ["true"],
        [str(settings.limit_bytes)],
        [str(settings.hard_limit_bytes)],
        [settings.over_limit],
        [settings.command],
        list(settings.arguments),
    )
    for name, wanted in zip(_OWN_SETTINGS, values):
        if repository.config("--local", "--get-all", name) != wanted:
            _plan_value(plan, repository, name, wanted)


def _plan_value(plan: _Plan, repository: Repository, name: str, wanted: list[str]) -> None:
    def change() -> None:
        if repository.config("--local", "--get-all", name):
            repository.git("config", "--local", "--unset-all", name)
        for value in wanted:
            repository.git("config", "--local", "--add", name, value)

    plan.add(f"set {name} to {' '.join(wanted)}" if wanted else f"unset {name}", change)


# --- deeds ---


def _plan_write(plan: _Plan, repository: Repository, path: str, text: str) -> None:
    plan.add(f"write {path}", lambda: repository.do(write_hook, path, to_bytes(text)))


def _carry_out(plan: _Plan, repository: Repository, check: bool) -> None:
    if check:
        return
    for text, deed in plan.steps:
        try:
            deed()
        except OSError as error:
            raise ProjectError(
                f"The hook of {printable(repository.top)}: cannot {printable(text)}: {error.strerror}."
            ) from error


def _result(plan: _Plan, repository: Repository) -> dict[str, Any]:
    uid = os.stat(repository.top).st_uid
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = ""
    return {
        "changed": bool(plan.steps),
        "changes": [printable(text) for text, _deed in plan.steps],
        "warnings": plan.warnings,
        "owner": owner,
    }
