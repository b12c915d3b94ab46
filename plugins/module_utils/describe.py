# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup says of itself: REPORT.json for programs, MANIFEST.txt and LARGE_FILES.txt for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from . import layout, system_info
from .archive_writer import ArchiveTotals
from .git_repo import GitRepo
from .gzip_frames import codec_name
from .ids import id_timestamp
from .names import printable
from .settings import BackupSettings
from .taken import Taken
from .version import VERSION

_LISTED_AT_MOST = 1000


def report(
    settings: BackupSettings,
    backup_id: str,
    taken: Taken,
    totals: ArchiveTotals,
    unsealable: Optional[str],
    *,
    duration_seconds: float,
) -> dict[str, Any]:
    """REPORT.json; docs/report.schema.json describes it."""
    notes = taken.notes
    return {
        "format": "cora-report",
        "version": layout.REPORT_VERSION,
        "id": backup_id,
        "kind": "full",
        "created_at": id_timestamp(backup_id),
        "project": settings.project,
        "settings": _settings(settings),
        "seal": {"policy": settings.seal, "possible": unsealable is None, "reason": unsealable or ""},
        "files": sum(count for kind, count in taken.counts.items() if kind in ("file", "hardlink")),
        "entries": dict(sorted(taken.counts.items())),
        "size_bytes": taken.size_bytes,
        "stored_bytes": taken.stored_bytes,
        "archive_bytes": totals.archive_bytes,
        "archive_sha256": totals.sha256,
        "codec": codec_name(),
        "duration_seconds": round(duration_seconds, 3),
        "critical": taken.critical,
        "databases": taken.databases,
        "cut_logs": taken.cut_logs,
        "large_files": len(taken.large_files),
        "excluded": {"count": notes.excluded_count, "paths": notes.excluded},
        "skipped": {"count": len(notes.skipped), "paths": notes.skipped[:_LISTED_AT_MOST]},
        "database_side_files": taken.side_files,
        "unreadable": [{"path": path, "reason": reason} for path, reason in notes.unreadable],
        "changed_while_read": taken.unstable,
        "incomplete": taken.incomplete,
        "reused": _reused(taken),
        "owners": {
            "users": {str(uid): name for uid, name in sorted(taken.owners.users.items())},
            "groups": {str(gid): name for gid, name in sorted(taken.owners.groups.items())},
        },
        "warnings": _warnings(taken),
    }


def _reused(taken: Taken) -> dict[str, Any]:
    reused = taken.reused
    return {
        "backup": reused.backup_id,
        "frames": reused.frames,
        "entries": reused.entries,
        "archive_bytes": reused.archive_bytes,
        "damaged": len(reused.damaged),
    }


def checkpoint_report(
    settings: BackupSettings,
    checkpoint_id: str,
    taken: Taken,
    totals: ArchiveTotals,
    unsealable: Optional[str],
    base: Mapping[str, Any],
    deleted: int,
) -> dict[str, Any]:
    """REPORT.json of a checkpoint: that of a backup, and what it stands on.

    :param base: REPORT.json of the backup it stands on
    :param deleted: how many entries of the base are gone
    """
    document = report(settings, checkpoint_id, taken, totals, unsealable, duration_seconds=0.0)
    document.update(
        {
            "kind": "checkpoint",
            "base": base["id"],
            "base_size_bytes": base["size_bytes"],
            "base_stored_bytes": base["stored_bytes"],
            "deleted": deleted,
        }
    )
    return document


def _settings(settings: BackupSettings) -> dict[str, Any]:
    return {
        "exclude": list(settings.exclude),
        "critical": list(settings.critical),
        "logs": list(settings.logs),
        "log_cap_bytes": settings.log_cap_bytes,
        "large_file_bytes": settings.large_file_bytes,
    }


def _warnings(taken: Taken) -> list[str]:
    warnings = [f"{printable(path)}: not in the backup: {reason}" for path, reason in taken.notes.unreadable]
    warnings += [f"{printable(path)}: changed each time it was read; what was read is kept" for path in taken.unstable]
    return warnings + taken.warnings


def manifest(settings: BackupSettings, backup_id: str, repository: Optional[GitRepo]) -> dict[str, Mapping[str, str]]:
    """MANIFEST.txt as sections of keys and values."""
    sections: dict[str, Mapping[str, str]] = {
        "backup": {"id": backup_id, "project": settings.project, "vault": settings.vault, "compressed by": codec_name()}
    }
    sections.update(system_info.collect(project=settings.project, vault=settings.vault, collection_version=VERSION))
    sections["git"] = repository.describe() if repository else {"repository": "none"}
    sections["settings"] = {key: _one_line(value) for key, value in _settings(settings).items()}
    return sections


def _one_line(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)


def large_files_text(large_files: list[tuple[int, str, str]], tracked: Optional[set[str]]) -> bytes:
    """LARGE_FILES.txt: a comment line, then size, sha256, tracked by Git or not, and path, separated by tabs."""
    lines = [
        "# size_bytes\tsha256\tgit\tpath (a log that was cut has no digest here: the archive holds its newest part)"
    ]
    for size_bytes, sha256, path in sorted(large_files, reverse=True):
        state = "no repository" if tracked is None else "tracked" if path in tracked else "untracked"
        lines.append(f"{size_bytes}\t{sha256}\t{state}\t{printable(path)}")
    return ("\n".join(lines) + "\n").encode("utf-8")
