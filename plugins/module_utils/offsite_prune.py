# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention of the copy elsewhere: the rules of the vault, with settings and a key of its own.

What takes the place of something that goes is looked at first (is all of it there?). A backup that goes loses its
SHA256SUMS.txt first: from then on it is none, and a run that is killed leaves rubbish that the next one clears away.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Optional

from . import layout
from .catalog import list_backups, project_of
from .critical_gone import last_holders
from .errors import CoraError, IntegrityError, OffsiteError, OffsitePermissionError
from .ids import id_time
from .keep_rules import BACKUP, Decision, Policy, Saved
from .marks import is_pinned, tags_of
from .names import printable
from .offsite_layout import backup_prefix, ids_newest_first, key_of, marker, unescape_text
from .offsite_notes import read_note, write_note
from .offsite_pruned import note_pruned, pruned_ids
from .offsite_settings import Credentials, OffsiteSettings
from .offsite_verify import VerifyRequest, verify_remote
from .prune import decision_document
from .remover import REMOVED, REMOVING, write_log
from .retention import decide
from .s3_client import S3, connect, deleting_credentials
from .s3_errors import translated
from .vault import Vault

_AT_ONCE = 1000


@dataclass(frozen=True)
class OffsitePruneRequest:
    """One run.

    :param vault: whose pins and tags count there too; it need not exist
    :param project: only what is of this project
    """

    vault: str
    offsite: OffsiteSettings
    policy: Policy
    project: Optional[str] = None
    progress_file: Optional[str] = None


def prune_offsite(request: OffsitePruneRequest, *, check: bool = False) -> dict[str, Any]:
    """Remove from the bucket what the policy does not keep.

    :param check: only decide; what would take the place of something is looked at all the same
    :returns: a decision for each backup with its reasons; JSON types
    :raises CoraError: when something could not be removed
    """
    started = time.monotonic()
    s3 = connect(request.offsite)
    run = _Run(request, s3)
    run.decide_and_look()
    if not check:
        remover = _Remover(Vault(request.vault), connect(request.offsite, credentials=_key_to_delete(request, run)))
        for backup_id in run.half_removed:
            remover.finish(backup_id)
        for decision in run.going():
            remover.remove(decision)
    return run.result(started)


def _key_to_delete(request: OffsitePruneRequest, run: _Run) -> Credentials:
    if not run.going() and not run.half_removed:
        return request.offsite.credentials  # nothing to do, so no other key is needed
    return deleting_credentials(request.offsite)


class _Run:
    def __init__(self, request: OffsitePruneRequest, s3: S3) -> None:
        self._request, self._s3 = request, s3
        self._vault = Vault(request.vault)
        self._decisions: list[Decision] = []
        self._looked_at: dict[str, bool] = {}
        self._damaged: list[str] = []
        ids = list(ids_newest_first(s3))
        with ThreadPoolExecutor(s3.settings.connections) as pool:
            found = dict(zip(ids, pool.map(lambda one: marker(s3, one), ids)))
        removed = pruned_ids(s3)
        #: Begun by a run that was killed: no backups any more. An upload that goes on has no note of a removal.
        self.half_removed = sorted(one for one in ids if found[one] is None and one in removed)
        rows = list_backups(self._vault.root)
        self._last_of = last_holders(self._vault, {row["id"]: row["verified_ok"] for row in rows})
        self._states = [self._saved(one, answer) for one, answer in found.items() if answer is not None]

    def _saved(self, backup_id: str, answer: dict[str, Any]) -> Saved:
        size = answer.get("Metadata", {}).get("bytes", "")
        return Saved(
            state_id=backup_id,
            kind=BACKUP,
            project=self._project(backup_id, answer),
            made_at=id_time(backup_id),
            pinned=is_pinned(self._vault, backup_id),
            tags=tuple(tags_of(self._vault, backup_id)),
            size_bytes=int(size) if size.isascii() and size.isdigit() else 0,
            last_of=self._last_of[backup_id],
        )

    def _project(self, backup_id: str, answer: dict[str, Any]) -> Optional[str]:
        """Whose it is; the service does not know that of an encrypted one, but who sent it does."""
        named = answer.get("Metadata", {}).get("project")
        if named:
            return unescape_text(named)
        try:
            return project_of(self._vault.root, backup_id)
        except IntegrityError:
            noted = (read_note(self._vault, backup_id) or {}).get("project")
            return noted if isinstance(noted, str) else None

    def decide_and_look(self) -> None:
        """Decide, and look, newest first, at what something waits for, until nothing does any more."""
        while True:
            self._decide()
            waited_for = {one.waits_for for one in self._decisions if one.waits_for} - set(self._looked_at)
            if not waited_for:
                return
            self._look_at(max(waited_for))

    def _decide(self) -> None:
        states = [replace(one, verified=self._looked_at.get(one.state_id)) for one in self._states]
        now = datetime.now(timezone.utc)
        decisions, _warning = decide(states, self._request.policy, now=now, budget_bytes=0)
        self._decisions = [one for one in decisions if self._request.project in (None, one.project)]

    def _look_at(self, backup_id: str) -> None:
        wanted = VerifyRequest(
            vault=self._request.vault,
            offsite=self._request.offsite,
            id_text=backup_id,
            progress_file=self._request.progress_file,
        )
        problem = ""
        try:
            if not verify_remote(self._s3, wanted, backup_id)["ok"]:
                problem = "it is damaged"
        except OffsiteError:
            raise
        except CoraError as error:
            problem = str(error)  # encrypted, and no key here to look at it
        self._looked_at[backup_id] = not problem
        if problem:
            self._damaged.append(
                f"{backup_id} would have taken the place of others, which stay: {problem}. See cora offsite verify."
            )

    def going(self) -> list[Decision]:
        """What is to be removed, the oldest first."""
        return sorted((one for one in self._decisions if not one.keep), key=lambda one: one.state_id)

    def result(self, started: float) -> dict[str, Any]:
        """What was decided, and so done."""
        going = self.going()
        stays = _keeps_versions(self._s3) if going or self.half_removed else None
        warnings = list(self._damaged)
        if stays:
            warnings.append(
                "The bucket keeps old versions: what was removed still takes room there, and can be brought back, "
                "until a lifecycle rule of the bucket removes old versions (docs/offsite-restore.md)."
            )
        return {
            "changed": bool(going or self.half_removed),
            "place": self._request.offsite.place,
            "removed": [one.state_id for one in going],
            "finished": self.half_removed,
            "kept": sum(one.keep for one in self._decisions),
            "freed_bytes": sum(one.size_bytes for one in going),
            "verified": sorted(self._looked_at),
            "versions_stay": stays,
            "decisions": [decision_document(one) for one in self._decisions],
            "warnings": warnings,
            "duration_seconds": round(time.monotonic() - started, 3),
        }


def _keeps_versions(s3: S3) -> Optional[bool]:
    """Whether the bucket keeps what is deleted; None where this key may not ask."""
    try:
        with translated("ask for the versioning of", s3.bucket):
            return bool(s3.client.get_bucket_versioning(Bucket=s3.bucket).get("Status") == "Enabled")
    except OffsiteError:
        return None


class _Remover:
    """Removes from the bucket.

    :param s3: with the key that may
    """

    def __init__(self, vault: Vault, s3: S3) -> None:
        self._vault, self._s3 = vault, s3

    def remove(self, decision: Decision) -> None:
        """Remove a backup.

        :raises CoraError: when that fails; then it is whole, or no backup any more
        """
        backup_id = decision.state_id
        self._log(REMOVING, decision)
        note_pruned(self._s3, backup_id)
        for encrypted in (False, True):
            self._delete([key_of(self._s3.prefix, backup_id, layout.SUMS, encrypted=encrypted)])
        self.finish(backup_id)
        self._log(REMOVED, decision)

    def finish(self, backup_id: str) -> None:
        """Remove what is left of a backup that is none any more.

        :raises OffsiteError: when that fails; it can be tried again
        """
        prefix = backup_prefix(self._s3.prefix, backup_id)
        while True:
            with translated("list", f"{self._s3.bucket}/{prefix}"):
                found = self._s3.client.list_objects_v2(Bucket=self._s3.bucket, Prefix=prefix, MaxKeys=_AT_ONCE)
            keys = [one["Key"] for one in found.get("Contents", ())]
            if not keys:
                break
            self._delete(keys)
        note = read_note(self._vault, backup_id)
        if note is not None:
            at = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
            write_note(self._vault, backup_id, {**note, "result": "pruned", "pruned_at": at})

    def _delete(self, keys: Iterable[str]) -> None:
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        with translated("delete in", self._s3.bucket):
            answer = self._s3.client.delete_objects(Bucket=self._s3.bucket, Delete=wanted)
        for error in answer.get("Errors", ()):
            kind = OffsitePermissionError if error.get("Code") == "AccessDenied" else OffsiteError
            said = error.get("Message") or error.get("Code") or ""
            raise kind(
                f"Could not delete {printable(error.get('Key', ''))}: {printable(said)}. "
                "Deleting needs the key SPACES_DELETE_ACCESS_KEY, and a bucket whose policy lets it."
            )

    def _log(self, event: str, decision: Decision) -> None:
        if self._vault.exists():
            write_log(self._vault, event, decision, place=self._s3.settings.place)
