# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention offsite: what goes, what never goes, what a kill leaves, and how a deleted object comes back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import layout, offsite_crypt, offsite_prune
from ansible_collections.cora.backup.plugins.module_utils.errors import OffsitePermissionError
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy
from ansible_collections.cora.backup.plugins.module_utils.marks import set_pin
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import escape_text, key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_prune import OffsitePruneRequest, prune_offsite
from ansible_collections.cora.backup.plugins.module_utils.offsite_pruned import pruned_ids
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import Credentials, OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync, upload_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3, connect
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from offsite.away import fetch
from support.engine import Made, backup
from support.rgw import Keys, Rgw
from support.tools import remove_sealed, tool

#: Only the newest, and the one before it.
TWO = Policy(keep_last=2, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0, keep_within_days=0)


@pytest.fixture
def deleting(settings: OffsiteSettings, owner: Keys) -> OffsiteSettings:
    """Settings with a key that may delete."""
    return dataclasses.replace(settings, delete_credentials=Credentials(owner.access_key, owner.secret_key))


@pytest.fixture
def made(s3: S3, project: Path, vault: Path) -> Made:
    one = backup(project, vault)
    upload_backup(s3, str(vault), one.id)
    return one


@pytest.fixture
def older(client: Any, settings: OffsiteSettings, made: Made) -> list[str]:
    """Four older ones of the same project, oldest first."""
    ids = [f"2026010{day}-030000-nogit" for day in (1, 2, 3, 4)]
    for backup_id in ids:
        clone(client, settings, made.id, backup_id)
    return ids


def clone(client: Any, settings: OffsiteSettings, source: str, target: str, project: str = "") -> None:
    """The same backup under another id, the marker last, and perhaps of another project."""
    for path in [*layout_names(client, settings, source), layout.SUMS]:
        key = key_of(settings.prefix, source, path)
        metadata = client.head_object(Bucket=settings.bucket, Key=key)["Metadata"]
        if project and "project" in metadata:
            metadata["project"] = escape_text(project)
        client.copy_object(
            Bucket=settings.bucket, Key=key_of(settings.prefix, target, path), Metadata=metadata,
            CopySource={"Bucket": settings.bucket, "Key": key}, MetadataDirective="REPLACE",
        )  # fmt: skip


def layout_names(client: Any, settings: OffsiteSettings, backup_id: str) -> list[str]:
    key = key_of(settings.prefix, backup_id, layout.SUMS)
    return list(layout.decode_sums(client.get_object(Bucket=settings.bucket, Key=key)["Body"].read()))


def keys_of(client: Any, settings: OffsiteSettings, backup_id: str) -> list[str]:
    prefix = key_of(settings.prefix, backup_id, "")
    found = client.list_objects_v2(Bucket=settings.bucket, Prefix=prefix).get("Contents", [])
    return [one["Key"] for one in found]


def prune(settings: OffsiteSettings, vault: Path, *, check: bool = False, **request: Any) -> dict[str, Any]:
    request.setdefault("policy", TWO)
    return prune_offsite(OffsitePruneRequest(vault=str(vault), offsite=settings, **request), check=check)


def test_what_no_rule_keeps_goes(
    client: Any, deleting: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    said = prune(deleting, vault, check=True)
    assert said["removed"] == older[:3] and said["changed"]
    assert all(keys_of(client, deleting, backup_id) for backup_id in older), "a dry run removes nothing"
    result = prune(deleting, vault)
    assert result["removed"] == older[:3]
    assert [bool(keys_of(client, deleting, one)) for one in older] == [False, False, False, True]
    assert verify_offsite(VerifyRequest(str(vault), deleting, made.id, deep=True))["ok"]
    lines = [json.loads(line) for line in (vault / ".cora/prune.log").read_text().splitlines()]
    assert [(line["event"], line["id"]) for line in lines[:2]] == [("removing", older[0]), ("removed", older[0])]
    again = prune(deleting, vault)
    assert (again["changed"], again["removed"]) == (False, [])


def test_the_last_one_stays_whatever_the_rules_say(deleting: OffsiteSettings, made: Made, vault: Path) -> None:
    policy = dataclasses.replace(TWO, keep_last=1)
    assert prune(deleting, vault, policy=policy)["removed"] == []


def test_each_project_keeps_its_newest(client: Any, deleting: OffsiteSettings, made: Made, vault: Path) -> None:
    others = ["20260101-030000-nogit", "20260102-030000-nogit"]
    for backup_id in others:
        clone(client, deleting, made.id, backup_id, project="/srv/other")
    policy = dataclasses.replace(TWO, keep_last=1)
    assert prune(deleting, vault, policy=policy)["removed"] == others[:1]


def test_nothing_goes_for_one_that_is_damaged(
    client: Any, deleting: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    client.delete_object(Bucket=deleting.bucket, Key=key_of(deleting.prefix, made.id, layout.ARCHIVE))
    result = prune(deleting, vault)
    assert result["removed"] == []
    assert made.id in " ".join(result["warnings"])


def test_half_an_upload_takes_the_place_of_nothing(
    client: Any, deleting: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    client.delete_object(Bucket=deleting.bucket, Key=key_of(deleting.prefix, made.id, layout.SUMS))
    result = prune(deleting, vault)
    assert result["removed"] == older[:2]
    assert keys_of(client, deleting, made.id), "what is being uploaded is left alone"


def test_pinned_here_stays_there(deleting: OffsiteSettings, made: Made, older: list[str], vault: Path) -> None:
    set_pin(Vault(str(vault)), older[0], on=True)
    assert prune(deleting, vault)["removed"] == older[1:3]


def test_deleting_has_a_key_of_its_own(
    client: Any, settings: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    assert prune(settings, vault, check=True)["removed"] == older[:3]
    with pytest.raises(OffsitePermissionError, match="SPACES_DELETE_ACCESS_KEY"):
        prune(settings, vault)
    assert all(keys_of(client, settings, backup_id) for backup_id in older)


def test_a_key_that_may_not_delete_says_so_and_spoils_nothing(
    client: Any, rgw: Rgw, settings: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    writer = rgw.make_user("writer")
    statements = [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket"]},
        {"Effect": "Deny", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"]},
    ]
    for one in statements:
        one["Principal"] = {"AWS": ["arn:aws:iam:::user/writer"]}  # type: ignore[assignment]
        one["Resource"] = [f"arn:aws:s3:::{settings.bucket}", f"arn:aws:s3:::{settings.bucket}/*"]
    client.put_bucket_policy(
        Bucket=settings.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    limited = dataclasses.replace(settings, delete_credentials=Credentials(writer.access_key, writer.secret_key))
    with pytest.raises(OffsitePermissionError):
        prune(limited, vault)
    for backup_id in older:
        assert key_of(settings.prefix, backup_id, layout.SUMS) in keys_of(client, settings, backup_id)


def test_a_prune_that_was_cut_off_is_finished(
    client: Any, deleting: OffsiteSettings, made: Made, older: list[str], vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_self: object, _backup_id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(offsite_prune._Remover, "finish", cut)
        prune(deleting, vault)
    left = keys_of(client, deleting, older[0])
    assert left and key_of(deleting.prefix, older[0], layout.SUMS) not in left
    result = prune(deleting, vault)
    assert (result["finished"], result["removed"]) == ([older[0]], older[1:3])
    assert not keys_of(client, deleting, older[0])


def test_what_was_removed_is_not_sent_again(
    client: Any, deleting: OffsiteSettings, project: Path, made: Made, vault: Path
) -> None:
    for text in ("two", "three"):
        (project / "README.md").write_text(text)
        backup(project, vault)
    sync(SyncRequest(vault=str(vault), settings=deleting))
    assert prune(deleting, vault)["removed"] == [made.id]
    assert pruned_ids(connect(deleting)) == {made.id}
    again = sync(SyncRequest(vault=str(vault), settings=deleting))
    assert (again["uploaded"], keys_of(client, deleting, made.id)) == ([], [])
    asked_for = sync(SyncRequest(vault=str(vault), settings=deleting, ids=(made.id,)))
    assert asked_for["uploaded"] == [made.id]


def test_a_false_note_of_a_removal_removes_nothing_whole(
    client: Any, deleting: OffsiteSettings, made: Made, older: list[str], vault: Path
) -> None:
    client.put_object(Bucket=deleting.bucket, Key=f"{deleting.prefix}/pruned/{made.id}", Body=b"")
    assert prune(deleting, vault)["removed"] == older[:3]
    assert verify_offsite(VerifyRequest(str(vault), deleting, made.id))["ok"]


def test_encrypted_ones_are_pruned_without_the_secret_key(
    deleting: OffsiteSettings, project: Path, vault: Path, tmp_path: Path
) -> None:
    offsite_crypt.make_key(str(tmp_path / "key.txt"))
    encrypting = dataclasses.replace(deleting, encrypt_to=(offsite_crypt.recipient_of(str(tmp_path / "key.txt")),))
    ids = []
    for text in ("one", "two", "three"):
        (project / "README.md").write_text(text)
        ids.append(backup(project, vault).id)
    sync(SyncRequest(vault=str(vault), settings=encrypting))
    assert prune(encrypting, vault)["removed"] == ids[:1]


def test_in_a_versioned_bucket_what_was_removed_comes_back(
    client: Any, deleting: OffsiteSettings, project: Path, vault: Path, tmp_path: Path
) -> None:
    client.put_bucket_versioning(Bucket=deleting.bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = []
    for text in ("one", "two", "three"):
        (project / "README.md").write_text(text)
        ids.append(backup(project, vault).id)
    sync(SyncRequest(vault=str(vault), settings=deleting))
    result = prune(deleting, vault)
    assert (result["removed"], result["versions_stay"]) == (ids[:1], True)
    assert any("keeps old versions" in warning for warning in result["warnings"])
    assert not keys_of(client, deleting, ids[0])
    # as docs/offsite-restore.md tells: remove the marks of the deletion
    prefix = key_of(deleting.prefix, ids[0], "")
    marks = client.list_object_versions(Bucket=deleting.bucket, Prefix=prefix)["DeleteMarkers"]
    assert len(marks) > 5
    for mark in marks:
        client.delete_object(Bucket=deleting.bucket, Key=mark["Key"], VersionId=mark["VersionId"])
    new_vault = tmp_path / "new" / "vault"
    try:
        fetch(deleting, new_vault, ids[0])
        tool("diff", "-r", vault / ids[0], new_vault / ids[0])
    finally:
        remove_sealed(new_vault)


def test_one_deleted_object_of_a_versioned_bucket_comes_back(
    client: Any, settings: OffsiteSettings, s3: S3, project: Path, vault: Path
) -> None:
    client.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    made = backup(project, vault)
    upload_backup(s3, str(vault), made.id)
    key = key_of(settings.prefix, made.id, "critical/AI_WORK_LOG.md")
    client.delete_object(Bucket=settings.bucket, Key=key)
    found = verify_offsite(VerifyRequest(str(vault), settings, made.id))
    assert [(one["artifact"], one["problem"]) for one in found["damaged"]] == [("critical/AI_WORK_LOG.md", "missing")]
    mark = client.list_object_versions(Bucket=settings.bucket, Prefix=key)["DeleteMarkers"][0]
    client.delete_object(Bucket=settings.bucket, Key=key, VersionId=mark["VersionId"])
    assert verify_offsite(VerifyRequest(str(vault), settings, made.id, deep=True))["ok"]
