# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which commits bring the large files that a push would bring, and what would help.

The hook in C(roles/git_hooks/files/pre-push) finds the objects, decides, and asks here only to explain.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Optional

from .errors import SettingsError
from .names import printable, to_text
from .programs import Completed, run

_LOG_SECONDS = 50.0
_SHOWN_AT_MOST = 20
_HEADER = b"cora-commit"
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class PushedRef:
    """One line that Git gives the hook."""

    local_name: str
    local_object: str
    remote_name: str
    remote_object: str


@dataclass(frozen=True)
class LargeObject:
    """A file's content over the limit; C(path) is what rev-list says of it, cut at a newline, or empty."""

    size_bytes: int
    object_id: str
    path: str


@dataclass(frozen=True)
class Push:
    """What the hook found.

    :param remote: name of the remote, or its URL
    :param tracking: option that stands for what the remote is known to have; empty: nothing but C(known) counts
    :param known: C(^object) of what the remote has
    """

    remote: str
    limit_bytes: int
    hard_limit_bytes: int
    tracking: str
    refs: tuple[PushedRef, ...]
    known: tuple[str, ...]
    large: tuple[LargeObject, ...]


def parse_push(text: bytes) -> Push:
    """What the hook writes: a line a fact.

    :raises SettingsError: when something else wrote it
    """
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {"ref": [], "known": [], "large": []}
    for line in to_text(text).split("\n"):
        key, _blank, value = line.partition(" ")
        if key in lists:
            lists[key].append(value)
        elif key:
            values[key] = value
    try:
        return Push(
            remote=values["remote"],
            limit_bytes=int(values["limit"]),
            hard_limit_bytes=int(values["hard_limit"]),
            tracking=values.get("tracking", ""),
            refs=tuple(_pushed_ref(value) for value in lists["ref"]),
            known=tuple(lists["known"]),
            large=tuple(_large_object(value) for value in lists["large"]),
        )
    except (KeyError, ValueError) as error:
        raise SettingsError(
            f"This is not what the hook pre-push writes ({error}): git push calls this, not a person."
        ) from error


def _pushed_ref(value: str) -> PushedRef:
    # a local "name" may be any expression, with blanks in it
    local_name, local_object, remote_name, remote_object = value.rsplit(" ", 3)
    return PushedRef(local_name, local_object, remote_name, remote_object)


def _large_object(value: str) -> LargeObject:
    size, object_id, path = (*value.split(" ", 2), "")[:3]
    return LargeObject(int(size), object_id, path)


@dataclass(frozen=True)
class _Change:
    commit: str
    subject: str
    before: str
    after: str
    path: str


def explain_push(git_dir: str, push: Push) -> list[dict[str, Any]]:
    """The large files of a push, largest first, each with the commit that brought it.

    Keys: path, size_bytes, object, commit, subject, removed_by (None: the pushed state still has it), at_tip (the
    commit is the last one of a pushed branch), refused (over the host's limit).

    :raises ProgramError: Git failed
    """
    wanted = {large.object_id for large in push.large}
    changes = _changes(git_dir, push, wanted, merges=False)
    missing = wanted - {change.after for change in changes}
    if missing:  # a merge that brought more than its parents had
        changes += _changes(git_dir, push, missing, merges=True)
    tips = {ref.local_object for ref in push.refs}
    return [
        document
        for large in sorted(push.large, key=lambda each: -each.size_bytes)
        for document in _documents(large, changes, tips, push)
    ]


def _documents(large: LargeObject, changes: list[_Change], tips: set[str], push: Push) -> list[dict[str, Any]]:
    brought: dict[str, _Change] = {}
    removed: dict[str, Optional[str]] = {}
    for change in changes:  # oldest first
        if change.after == large.object_id:
            brought.setdefault(change.path, change)
            removed[change.path] = None
        elif change.before == large.object_id:
            removed[change.path] = change.commit
    common = {
        "size_bytes": large.size_bytes,
        "object": large.object_id,
        "refused": 0 < push.hard_limit_bytes < large.size_bytes,
    }
    if not brought:  # a tag may point at a file
        names = [ref.local_name for ref in push.refs if ref.local_object == large.object_id]
        nothing = {"commit": None, "subject": "", "removed_by": None, "at_tip": False}
        return [{"path": large.path or (names or ["?"])[0], **nothing, **common}]
    return [
        {
            "path": path,
            "commit": change.commit,
            "subject": change.subject,
            "removed_by": removed[path],
            "at_tip": change.commit in tips,
            **common,
        }
        for path, change in brought.items()
    ]


def _changes(git_dir: str, push: Push, objects: set[str], *, merges: bool) -> list[_Change]:
    """What the pushed commits did with these objects, oldest first."""
    arguments = ["log", "--reverse", "--topo-order", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff"]
    arguments += ["--no-textconv", f"--format={_HEADER.decode()}%x00%H%x00%s", "--ignore-missing"]
    arguments += ["-m"] if merges else ["--no-merges"]
    arguments += [f"--find-object={object_id}" for object_id in sorted(objects)]
    arguments += ["--stdin", *(["--not", push.tracking] if push.tracking else [])]
    revisions = "".join(f"{name}\n" for name in (*(ref.local_object for ref in _commits(push)), *push.known))
    return _parse_log(_git(git_dir, arguments, revisions.encode()).stdout)


def _commits(push: Push) -> list[PushedRef]:
    return [ref for ref in push.refs if ref.local_object.strip("0")]


def _parse_log(text: bytes) -> list[_Change]:
    changes: list[_Change] = []
    commit = subject = ""
    fields = iter(text.split(b"\0"))
    for field in fields:
        field = field.lstrip(b"\n")
        if field == _HEADER:
            commit, subject = to_text(next(fields, b"")), to_text(next(fields, b""))
        elif field.startswith(b":"):
            _old_mode, _new_mode, before, after, _status = to_text(field).split(" ")
            changes.append(_Change(commit, subject, before, after, to_text(next(fields, b""))))
    return changes


def _git(git_dir: str, arguments: list[str], data: bytes) -> Completed:
    # This is whoever pushes, and git push itself has just obeyed the same configuration. Only what it would add to the
    # output is switched off.
    settings = ("core.pager=cat", "log.showSignature=false", "log.showRoot=true", "core.fsmonitor=")
    argv = ["git", "--git-dir", git_dir]
    for setting in settings:
        argv += ["-c", setting]
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    return run([*argv, *arguments], env=environment, input_bytes=data, timeout_seconds=_LOG_SECONDS)


# --- in a person's words ---


def push_summary(push: Push, found: list[dict[str, Any]]) -> list[str]:
    """The files, and the commands that would help."""
    lines = [line for each in found[:_SHOWN_AT_MOST] for line in _file_lines(each)]
    if len(found) > _SHOWN_AT_MOST:
        lines.append(f"  and {len(found) - _SHOWN_AT_MOST} more")
    return lines + _advice(push, found[:_SHOWN_AT_MOST])


def _file_lines(each: dict[str, Any]) -> list[str]:
    refused = ", the host refuses it" if each["refused"] else ""
    lines = [f"  {printable(each['path'])}  ({each['size_bytes'] / _MEBIBYTE:.1f} MiB{refused})"]
    if each["commit"] is None:
        lines.append(f"      no commit, a tag brings it: object {each['object'][:12]}")
    else:
        lines.append(f"      brought by {each['commit'][:10]} {printable(each['subject'])}")
    if each["removed_by"]:
        lines.append(f"      removed by {each['removed_by'][:10]}, but the history that is pushed still holds it")
    return lines


def _advice(push: Push, found: list[dict[str, Any]]) -> list[str]:
    paths = list(dict.fromkeys(each["path"] for each in found if each["commit"]))
    if not paths:
        return []
    ranges = list(dict.fromkeys(_branch(ref) for ref in _commits(push) if ref.remote_name.startswith("refs/heads/")))
    lines = ["What would help:"]
    ignored = [line for line in map(ignore_line, paths) if line]
    if ignored:
        lines += [
            "  keep them out from now on, with these lines in .gitignore:",
            *(f"      {line}" for line in ignored),
        ]
    amendable = [each["path"] for each in found if each["at_tip"] and not each["removed_by"]]
    if len(amendable) == len(found):
        lines += [
            "  they came with the last commit; take them out of it (they stay on the disk):",
            f"      git rm --cached -- {_words(amendable)} && git commit --amend --no-edit",
        ]
    lines.append("  or keep them in Git LFS:")
    include = shlex.quote(",".join(paths)) if all(_plain(path) for path in paths) else "PATTERN"
    lines.append(f"      git lfs migrate import --include={include} {_words(ranges) or 'BRANCH'}")
    options = " ".join(f"--path {_word(path)}" for path in paths)
    lines += [
        "  or take them out of the history that was not pushed (copy them elsewhere first):",
        f"      git filter-repo --force --invert-paths {options} --refs {_words(_unpushed(push)) or 'BRANCH'}",
    ]
    return lines


def _branch(ref: PushedRef) -> str:
    name = ref.local_name
    return name[len("refs/heads/") :] if name.startswith("refs/heads/") else ref.remote_name[len("refs/heads/") :]


def _unpushed(push: Push) -> list[str]:
    """What filter-repo shall rewrite: never what others may have already."""
    names = []
    for ref in _commits(push):
        if ref.remote_name.startswith("refs/heads/"):
            old = f"{ref.remote_object[:10]}.." if ref.remote_object.strip("0") else ""
            names.append(f"{old}{_branch(ref)}")
    return list(dict.fromkeys(names))


def ignore_line(path: str) -> Optional[str]:
    """The line of a .gitignore that stands for exactly this path; None where none can."""
    if "\n" in path or "\r" in path:
        return None
    escaped = "".join(f"\\{character}" if character in "\\*?[" else character for character in path)
    stripped = escaped.rstrip(" ")
    return "/" + stripped + "\\ " * (len(escaped) - len(stripped))


def _plain(path: str) -> bool:
    return path == printable(path) and not set(path) & set(",*?[\\")


def _words(words: list[str]) -> str:
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    """A word for bash, on one line whatever is in it."""
    if word == printable(word):
        return shlex.quote(word)
    raw = word.encode("utf-8", "surrogateescape")
    return "$'" + "".join(_in_dollar_quotes(byte) for byte in raw) + "'"


def _in_dollar_quotes(byte: int) -> str:
    character = chr(byte)
    if character in "\\'":
        return f"\\{character}"
    return character if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
