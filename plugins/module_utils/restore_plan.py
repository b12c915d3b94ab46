# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore would do, for people to read before it is done."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from datetime import timezone
from itertools import chain
from operator import attrgetter
from typing import Any, Optional

from . import layout
from .attributes import differing
from .beside_database import SIDE_FILES, is_side_file, written_beside
from .changes import is_unchanged
from .ids import id_time
from .in_place import Change, digest_of
from .index import Entry
from .merge import side_by_side
from .names import path_key, printable
from .patterns import PathFilter
from .safe_tree import SafeTree
from .scan import Found, ScanNotes, read_link, walk
from .source import Source
from .tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK

_LISTED_AT_MOST = 1000
_ACTIONS = ("create", "replace", "remove", "same")
#: In deleted.txt a line that begins with a backslash is escaped, as by sha256sum.
_REMOVE_LISTED = (
    r'while IFS= read -r path; do case $path in "\\"*) path=$(printf %b. "${path#?}"); path=${path%.};; esac; '
    'rm -rf -- "$path"; done'
)


def created_ns(backup_id: str) -> int:
    """When a backup was made, in nanoseconds since 1970."""
    return int(id_time(backup_id).astimezone(timezone.utc).timestamp()) * 1_000_000_000


def plan_tree(
    source: Source, project: str, exclude: tuple[str, ...], backup_ns: int, *, vault: str
) -> Iterator[Change]:
    """What swapping in the whole tree would change; files are compared by size and time.

    The project is walked and the index is read side by side: both are in the same order, so nothing is kept.
    """
    present: Iterable[Found] = ()
    if os.path.isdir(project):
        present = walk(project, PathFilter(exclude), ScanNotes(), vault=vault)
    databases = set()
    for entry, found in side_by_side(source.entries(), present, attrgetter("path"), attrgetter("path")):
        if entry is not None:
            if entry.database:
                databases.add(entry.path)
            yield _compare(entry, found, backup_ns)
        elif found is not None and not (found.kind == FILE and is_side_file(found.path, databases)):
            newer = found.kind != DIRECTORY and found.status.st_mtime_ns > backup_ns
            yield Change("remove", found.path, found.kind, found.status.st_size, newer)


def _compare(entry: Entry, found: Optional[Found], backup_ns: int) -> Change:
    kind = FILE if entry.kind == HARDLINK else entry.kind
    if found is None:
        return Change("create", entry.path, kind, entry.size_bytes)
    status = found.status
    same = (found.kind, stat.S_IMODE(status.st_mode)) == (kind, entry.mode)
    if os.geteuid() == 0:
        same = same and (status.st_uid, status.st_gid) == (entry.uid, entry.gid)
    beside = _written_beside(found) if entry.database else []
    same = same and (is_unchanged(entry, found) if beside else _looks_alike(entry, found))
    written_ns = max(one.st_mtime_ns for one in (status, *beside))
    newer = not same and found.kind != DIRECTORY and written_ns > backup_ns
    return Change("same" if same else "replace", entry.path, kind, entry.size_bytes, newer)


def _written_beside(found: Found) -> list[os.stat_result]:
    try:
        return written_beside(found.parent_fd, found.name)
    except OSError:
        return []  # a disk that fails must not keep the whole tree from being swapped for a good one


def _looks_alike(entry: Entry, found: Found) -> bool:
    """Whether something of the same kind seems to be what the backup has; no content is read."""
    if entry.kind == SYMLINK:
        try:
            return read_link(found) == entry.link
        except OSError:
            return False
    if entry.kind == FILE:
        same_size = entry.database or found.status.st_size == entry.size_bytes
        return same_size and found.status.st_mtime_ns == entry.mtime_ns
    return entry.kind != HARDLINK or (found.status.st_nlink > 1 and found.status.st_mtime_ns == entry.mtime_ns)


def has_same_content(source: Source, project: str) -> bool:
    """Whether every file of the project is byte for byte what the backup has, attributes and ACLs too."""
    with SafeTree(project) as tree:
        if not all(_is_the_same(tree, entry) for entry in source.entries()):
            return False
        hidden = source.hidden_paths()
        first, *others = source.layers
        found = chain(
            differing(tree, first, lambda entry: () if entry.path in hidden else (entry.path,)),
            *(differing(tree, layer, lambda entry: (entry.path,)) for layer in others),
        )
        return next(found, None) is None


def _is_the_same(tree: SafeTree, entry: Entry) -> bool:
    if entry.kind == HARDLINK:
        status, target = tree.status(entry.path), tree.status(entry.link)
        return status is not None and target is not None and os.path.samestat(status, target)
    if entry.kind != FILE:
        return True
    if digest_of(tree, entry.path) != entry.sha256:
        return False
    return not (entry.database and written_beside(*tree.parent(entry.path)))


class PlanSummary:
    """Counts of a plan, and the first changes of it; newer work that would go is listed before all else."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.counts = dict.fromkeys((*_ACTIONS, "newer"), 0)
        self._newer: list[Change] = []
        self._others: list[Change] = []
        for change in changes:
            self.counts[change.action] += 1
            self.counts["newer"] += change.newer_work
            if change.action != "same":
                listed = self._newer if change.newer_work else self._others
                if len(listed) < _LISTED_AT_MOST:
                    listed.append(change)

    @property
    def listed(self) -> list[Change]:
        """Changes that are shown."""
        return (self._newer + self._others)[:_LISTED_AT_MOST]

    def to_json(self) -> dict[str, Any]:
        """Counts and listed changes in JSON types."""
        return {
            "counts": self.counts,
            "entries": [
                {
                    "action": change.action,
                    "path": printable(change.path),
                    "type": change.kind,
                    "size_bytes": change.size_bytes,
                    "newer_work": change.newer_work,
                }
                for change in self.listed
            ],
        }

    def diff(self) -> dict[str, str]:
        """Before and after as C(ansible --diff) shows them: a line each path, of those that are listed."""
        listed = sorted(self.listed, key=lambda change: path_key(change.path))
        before = [change for change in listed if change.action in ("replace", "remove")]
        after = [change for change in listed if change.action in ("create", "replace")]
        return {
            "before": "".join(f"{printable(change.path)} ({change.kind})\n" for change in before),
            "after": "".join(f"{printable(change.path)} ({change.kind}{_origin(change)})\n" for change in after),
        }


def _origin(change: Change) -> str:
    return ", from the backup" if change.action == "replace" else ""


def plain_commands(source: Source, project: str) -> dict[str, list[str]]:
    """How a person restores each scenario with nothing but a shell and tar; docs/restore-by-hand.md explains them."""
    target, new, old = shlex.quote(project), shlex.quote(project + ".new"), shlex.quote(project + ".old")
    archives = [shlex.quote(os.path.join(layer.directory, layer.archive)) for layer in source.layers]
    keep = "tar --acls --xattrs --xattrs-include='*' --numeric-owner -xpzf"
    unpack = [f"{keep} {archive} -C {new}" for archive in archives]
    if len(source.layers) > 1:
        deleted = shlex.quote(os.path.join(source.layers[-1].directory, layout.DELETED))
        # before the changes: a link among these must not lead the removal elsewhere, and directories keep their times
        unpack.insert(1, f"(cd {new} && {_REMOVE_LISTED} < {deleted})")
    return {
        "files": [
            "# a database: first remove its -wal, -shm and -journal",
            f"{keep} {archives[-1]} -C {target} -- PATH",
        ],
        "critical": [
            *_critical_commands(source.layers[0].directory, target),
            *[
                f"# newer than that, for what changed since: {keep} {archive} -C {target} -- PATH"
                for archive in archives[1:]
            ],
        ],
        "full": [
            f"mkdir {new}",
            *unpack,
            f"mv {target} {old}",
            f"mv {new} {target}",
            f"# what backups leave out (.git and the like) is in {old}: move over what you need",
        ],
    }


def _critical_commands(directory: str, target: str) -> list[str]:
    # not "cp -a critical/.": it gives the project's directories the owner and mode of those in the vault
    critical, databases = (os.path.join(directory, part) for part in (layout.CRITICAL_DIR, layout.DATABASE_DIR))
    commands = []
    if os.path.isdir(databases):
        names = "".join(f"%p{end}\\0" for end in SIDE_FILES)
        find = f"(cd {shlex.quote(databases)} && find . -type f -printf '{names}')"
        commands.append(f"{find} | (cd {target} && xargs -0 rm -f --)")
    if os.path.isdir(critical):
        find = f"(cd {shlex.quote(critical)} && find . -type f -print0 | tar -c --null -T -)"
        commands.append(f"{find} | tar -xp -C {target}")
    return commands
