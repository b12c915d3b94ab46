# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore would do, for people to read before it is done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from datetime import timezone
from typing import Any, Optional

from . import layout
from .in_place import Change
from .index import Entry, read_index
from .names import printable
from .patterns import PathFilter
from .scan import Found, ScanNotes, walk
from .tar_format import DIRECTORY, FILE, HARDLINK
from .vault import id_time

_LISTED_AT_MOST = 1000
_ACTIONS = ("create", "replace", "remove", "same")


def created_ns(backup_id: str) -> int:
    """When a backup was made, in nanoseconds since 1970."""
    return int(id_time(backup_id).astimezone(timezone.utc).timestamp()) * 1_000_000_000


def plan_tree(directory: str, project: str, exclude: tuple[str, ...], backup_ns: int, *, vault: str) -> list[Change]:
    """What swapping in the whole tree would change; files are compared by size and time.

    Walks the project once and reads the index once; both are in the same order, but what is kept here is a line each.
    """
    present = _present(project, exclude, vault)
    changes = []
    for line in read_index(os.path.join(directory, layout.INDEX)):
        if isinstance(line, Entry):
            changes.append(_compare(line, present.pop(line.path, None), backup_ns))
    for path, (kind, size_bytes, mtime_ns, _) in present.items():
        changes.append(Change("remove", path, kind, size_bytes, kind != DIRECTORY and mtime_ns > backup_ns))
    return changes


def _present(project: str, exclude: tuple[str, ...], vault: str) -> dict[str, tuple[str, int, int, int]]:
    if not os.path.isdir(project):
        return {}
    entries: Iterable[Found] = walk(project, PathFilter(exclude), ScanNotes(), vault=vault)
    return {
        found.path: (found.kind, found.status.st_size, found.status.st_mtime_ns, found.status.st_mode & 0o7777)
        for found in entries
    }


def _compare(entry: Entry, now: Optional[tuple[str, int, int, int]], backup_ns: int) -> Change:
    kind = FILE if entry.kind == HARDLINK else entry.kind
    if now is None:
        return Change("create", entry.path, kind, entry.size_bytes)
    now_kind, size_bytes, mtime_ns, mode = now
    same = (now_kind, mode) == (kind, entry.mode)
    if entry.kind == FILE:
        same = same and mtime_ns == entry.mtime_ns and (entry.database or size_bytes == entry.size_bytes)
    newer = not same and now_kind != DIRECTORY and mtime_ns > backup_ns
    return Change("same" if same else "replace", entry.path, kind, entry.size_bytes, newer)


def summarize(changes: list[Change]) -> dict[str, Any]:
    """A plan in JSON types: counts, what newer work would go, and the first thousand changes."""
    counts = dict.fromkeys(_ACTIONS, 0)
    for change in changes:
        counts[change.action] += 1
    counts["newer"] = sum(change.newer_work for change in changes)
    shown = [change for change in changes if change.action != "same"]
    shown.sort(key=lambda change: not change.newer_work)
    return {
        "counts": counts,
        "entries": [
            {
                "action": change.action,
                "path": printable(change.path),
                "type": change.kind,
                "size_bytes": change.size_bytes,
                "newer_work": change.newer_work,
            }
            for change in shown[:_LISTED_AT_MOST]
        ],
    }


def diff(changes: list[Change]) -> dict[str, str]:
    """Before and after as C(ansible --diff) shows them: a line each path."""
    before = [
        f"{printable(change.path)} ({change.kind})" for change in changes if change.action in ("replace", "remove")
    ]
    after = [
        f"{printable(change.path)} ({change.kind}{'' if change.action == 'create' else ', from the backup'})"
        for change in changes
        if change.action in ("create", "replace")
    ]
    return {
        "before": "".join(line + "\n" for line in sorted(before)),
        "after": "".join(line + "\n" for line in sorted(after)),
    }


def plain_commands(directory: str, project: str, archive: str = layout.ARCHIVE) -> dict[str, list[str]]:
    """How a person restores each scenario with nothing but tar and cp."""
    source, target, new = (
        shlex.quote(os.path.join(directory, archive)),
        shlex.quote(project),
        shlex.quote(project + ".new"),
    )
    old, critical = shlex.quote(project + ".old"), shlex.quote(os.path.join(directory, layout.CRITICAL_DIR))
    keep = "--acls --xattrs --xattrs-include='*' --numeric-owner -xpzf"
    return {
        "files": [f"tar {keep} {source} -C {target} -- PATH"],
        "critical": [f"cp -a {critical}/. {target}/"],
        "full": [f"mkdir {new}", f"tar {keep} {source} -C {new}", f"mv {target} {old}", f"mv {new} {target}"],
    }
