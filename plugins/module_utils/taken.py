# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went into a backup and what did not, noted while it is made; the report is written from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from .items import Owners
from .names import printable
from .scan import ScanNotes
from .tar_format import FILE


@dataclass
class Reused:
    """What an earlier backup gave.

    :param backup_id: that backup; None where none could be used, or none was to be
    :param archive_bytes: compressed
    :param damaged: what was damaged there, and read from the project again
    """

    backup_id: Optional[str] = None
    frames: int = 0
    entries: int = 0
    archive_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass
class Taken:
    """What went into a backup, and what did not.

    :param counts: entries by type
    :param size_bytes: content of all files as a restore writes them
    :param stored_bytes: the same without the holes of sparse files: what a restore needs on disk
    :param critical: paths that stand under C(critical/)
    :param databases: C({path, method, integrity}) of each database
    :param cut_logs: C({path, size_bytes, kept_bytes}) of each log over the cap
    :param large_files: C((size, sha256, path)) of files over the limit
    :param unstable: files that changed while they were read, each time they were read
    :param plain_sums: SHA-256 of plain copies that were read to the end when they were made, by their place
    :param side_files: how many C(-wal), C(-shm), C(-journal) were left out because their database is whole without them
    """

    counts: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    stored_bytes: int = 0
    critical: list[str] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    cut_logs: list[dict[str, Any]] = field(default_factory=list)
    large_files: list[tuple[int, str, str]] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    side_files: int = 0
    plain_sums: dict[str, str] = field(default_factory=dict)
    reused: Reused = field(default_factory=Reused)
    owners: Owners = field(default_factory=Owners)
    notes: ScanNotes = field(default_factory=ScanNotes)

    @property
    def incomplete(self) -> bool:
        """Whether something of the project is missing or may be torn."""
        return bool(self.notes.unreadable or self.unstable)

    def count(self, kind: str, entries: int = 1) -> None:
        """Count entries of one type."""
        if entries:
            self.counts[kind] = self.counts.get(kind, 0) + entries

    def note_file(self, path: str, *, size_bytes: int, stored_bytes: int, start: int, stable: bool) -> None:
        """Count a file, and note what is not as it should be with it.

        :param size_bytes: what was kept of it
        :param start: bytes that were cut off its beginning
        :param stable: whether it was the same from the first byte to the last
        """
        self.count(FILE)
        self.size_bytes += size_bytes
        self.stored_bytes += stored_bytes
        if start:
            self.cut_logs.append({"path": path, "size_bytes": start + size_bytes, "kept_bytes": size_bytes})
        if not stable:
            self.unstable.append(path)

    def note_large(self, path: str, size_bytes: int, sha256: Optional[str]) -> None:
        """Note a file over the limit; without a digest where only a part of it was kept."""
        self.large_files.append((size_bytes, sha256 or "-", path))

    def warn(self, path: str, what: str) -> None:
        """Add a sentence whose subject is a path."""
        self.warnings.append(f"{printable(path)}: {what}")
