# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups by hand: archive, index and sums that agree with each other, and mean no good."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.tar_format import (
    DIRECTORY,
    END_OF_ARCHIVE,
    FILE,
    Member,
    encode_member,
    padding,
)
from faults.lab import engine, make_project

INDEX, ARCHIVE, SUMS, REPORT = "INDEX.jsonl.gz", "cora-full.tar.gz", "SHA256SUMS.txt", "REPORT.json"
FORGED_ID = "20260101-000000-nogit"


@dataclass(frozen=True)
class Forged:
    """One entry of a forged archive.

    :param line: what its index line says otherwise
    :param hidden: it has no index line
    """

    path: str
    kind: str = FILE
    data: bytes = b""
    mode: int = 0o644
    link: str = ""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    line: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False

    def member(self) -> Member:
        return Member(self.path, self.kind, self.mode, size_bytes=len(self.data), link=self.link, xattrs=self.xattrs)


ROOT = Forged(".", DIRECTORY, mode=0o755)


class Forger:
    """Makes backups in a vault, after the pattern of a real one."""

    def __init__(self, place: Path) -> None:
        self.vault = place / "forged"
        pattern = make_project(place / "pattern")
        backup = engine("backup", project=str(pattern), vault=str(place / "real")).result()
        self.report = json.loads(Path(backup["path"], REPORT).read_text())

    def forge(self, entries: list[Forged], *, critical: tuple[str, ...] = ()) -> Path:
        """Write a backup of these entries, all in one frame; returns its directory."""
        blocks, lines, at = b"", [], 0
        for entry in entries:
            block = encode_member(entry.member()) + entry.data + padding(len(entry.data))
            if not entry.hidden:
                lines.append(self.line(entry, at))
            blocks += block
            at += len(block)
        frame, end = gzip.compress(blocks), gzip.compress(END_OF_ARCHIVE)
        return self.write(
            frame + end,
            [
                {"format": "cora-index", "version": 1},
                self.frame_line(0, 0, frame, len(blocks)),
                *lines,
                self.frame_line(1, len(frame), end, len(END_OF_ARCHIVE)),
                {"end": True, "entries": len(lines), "frames": 2},
            ],
            critical=critical,
        )

    @staticmethod
    def frame_line(number: int, offset: int, frame: bytes, size: int) -> dict[str, Any]:
        digest = hashlib.sha256(frame).hexdigest()
        return {"frame": number, "offset": offset, "length": len(frame), "size": size, "sha256": digest}

    @staticmethod
    def line(entry: Forged, at: int) -> dict[str, Any]:
        line: dict[str, Any] = {
            "path": entry.path,
            "type": entry.kind,
            "size": len(entry.data),
            "mode": f"{entry.mode:04o}",
            "uid": 0,
            "gid": 0,
            "mtime_ns": 0,
            "frame": 0,
            "at": at,
        }
        if entry.kind == FILE:
            line["sha256"] = hashlib.sha256(entry.data).hexdigest()
        if entry.link:
            line["link"] = entry.link
        return {**line, **entry.line}

    def write(self, archive: bytes, index: list[dict[str, Any]], *, critical: tuple[str, ...] = ()) -> Path:
        """Write the files of a backup with these contents and matching sums."""
        path = self.vault / FORGED_ID
        shutil.rmtree(self.vault, ignore_errors=True)
        path.mkdir(parents=True, mode=0o700)
        (path / ARCHIVE).write_bytes(archive)
        (path / INDEX).write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in index)))
        report = {**self.report, "id": FORGED_ID, "critical": list(critical)}
        (path / REPORT).write_text(json.dumps(report))
        self.sum_up(path)
        return path

    @staticmethod
    def sum_up(path: Path) -> None:
        files = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file() and file.name != SUMS)
        digests = {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in files}
        (path / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def renamed(entry: Forged, path: str) -> Forged:
    """The entry under another path."""
    return replace(entry, path=path)
