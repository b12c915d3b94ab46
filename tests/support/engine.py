# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling the engine with few words."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, RestoreRequest

Document = dict[str, Any]


class Made:
    """A backup that was made: its result, its directory, and its files as other programs read them."""

    def __init__(self, result: Document) -> None:
        self.result = result
        self.id: str = result["id"]
        self.path = Path(result["path"])
        self.archive = self.path / "cora-full.tar.gz"

    @property
    def report(self) -> Document:
        document: Document = json.loads((self.path / "REPORT.json").read_bytes())
        return document

    @property
    def index(self) -> list[Document]:
        """All lines of the index."""
        return [json.loads(line) for line in gzip.decompress((self.path / "INDEX.jsonl.gz").read_bytes()).splitlines()]

    @property
    def frames(self) -> list[Document]:
        """Index lines of frames, in their order."""
        return [line for line in self.index if "offset" in line]

    @property
    def entries(self) -> dict[str, Document]:
        """Index lines of entries, by path."""
        return {line["path"]: line for line in self.index if "path" in line}


def backup(project: Path, vault: Path, **settings: Any) -> Made:
    """Make a backup; C(settings) are those of BackupSettings."""
    return Made(create_backup(BackupSettings(project=str(project), vault=str(vault), **settings)))


def restore(vault: Path, id_text: str = "latest", **request: Any) -> Document:
    """Restore; C(request) are the fields of RestoreRequest."""
    if isinstance(request.get("project"), Path):
        request["project"] = str(request["project"])
    return run_restore(RestoreRequest(vault=str(vault), id_text=id_text, **request))
