# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs the collection as it stands, a checkout or an installed one: equal content makes an equal archive."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: What of a checkout belongs on a host; an installed collection has no more.
_PARTS = (
    "CHANGELOG.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "docs",
    "galaxy.yml",
    "meta",
    "playbooks",
    "plugins",
    "requirements.txt",
    "roles",
    "tools",
)
_PREFIX = "ansible_collections/cora/backup"
_LEFT_OUT = ("__pycache__", "collections")
#: Any fixed time that zip files can hold: 2020-01-01.
_TIME = 1577836800


def main(source: str) -> None:
    """Print where the archive is, and its SHA-256."""
    descriptor, path = tempfile.mkstemp(prefix="cora-", suffix=".tar")
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        root = Path(source).resolve()
        for path_inside, file in sorted(_entries(root).items()):
            archive.add(file, path_inside, recursive=False, filter=_plain)
    with open(path, "rb") as packed:
        print(json.dumps({"path": path, "sha256": hashlib.sha256(packed.read()).hexdigest()}))


def _entries(root: Path) -> dict[str, Path]:
    # with their directories, whose modes would else be those that the host's root happens to use
    found = {}
    for file in _files(root):
        for place in (file, *file.parents):
            if place == root.parent:
                break
            found[str(Path(_PREFIX, place.relative_to(root)))] = place
    return {**found, "ansible_collections": root, "ansible_collections/cora": root}


def _files(root: Path) -> Iterator[Path]:
    for part in _PARTS:
        top = root / part
        if top.is_file():
            yield top
        for file in top.rglob("*"):
            if file.is_file() and not set(file.relative_to(root).parts) & set(_LEFT_OUT):
                yield file


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = _TIME
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


if __name__ == "__main__":
    main(sys.argv[1])
