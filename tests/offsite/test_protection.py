# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What buckets really protect: found out by the probe, and shown by somebody who has the key and wants to do harm."""

from __future__ import annotations

import dataclasses
import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import backup_prefix
from ansible_collections.cora.backup.plugins.module_utils.offsite_notes import read_bucket
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import Credentials, OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_setup import SetupRequest, setup
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync
from ansible_collections.cora.backup.plugins.module_utils.s3_client import connect
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from botocore.exceptions import ClientError
from offsite.lab import MIB, check_sums, make_large_project, port_of, rclone_download, start_sync, through
from support.chaos_proxy import ChaosProxy
from support.engine import backup
from support.rgw import Rgw

#: What the documentation tells people to copy.
PAGE = (Path(__file__).resolve().parents[2] / "docs/offsite.md").read_text(encoding="utf-8")


def run_setup(settings: OffsiteSettings, vault: Path, **request: Any) -> dict[str, Any]:
    return setup(SetupRequest(vault=str(vault), settings=settings, **request))


def run_sync(settings: OffsiteSettings, vault: Path) -> dict[str, Any]:
    return sync(SyncRequest(vault=str(vault), settings=settings))


def is_denied(request: Callable[..., Any], **arguments: Any) -> bool:
    try:
        request(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return False


def test_own_bucket(settings: OffsiteSettings, client: Any, vault: Path) -> None:
    checked = run_setup(settings, vault, check=True)
    assert (checked["changed"], checked["versioning"]) == (False, "off")
    assert "Status" not in client.get_bucket_versioning(Bucket=settings.bucket)
    found = run_setup(settings, vault)
    assert found["switched_on"] == ["versioning", "lifecycle"]
    assert client.get_bucket_versioning(Bucket=settings.bucket)["Status"] == "Enabled"
    rules = client.get_bucket_lifecycle_configuration(Bucket=settings.bucket)["Rules"]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules] == [7]
    assert all(found["may"].values()) and found["delete_can_be_undone"] is True
    assert found["public"] is False and abs(found["clock_skew_seconds"]) < 30
    assert any("for good" in line for line in found["stolen_key"])
    assert read_bucket(Vault(str(vault)))["versioning"] == "enabled"  # type: ignore[index]
    # the probe is gone, with all its versions
    assert not {"Versions", "DeleteMarkers"} & client.list_object_versions(Bucket=settings.bucket).keys()
    again = run_setup(settings, vault)
    assert (again["changed"], again["switched_on"]) == (False, [])


def test_rules_of_others_stay(settings: OffsiteSettings, client: Any, vault: Path) -> None:
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "prod/"}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=settings.bucket, LifecycleConfiguration={"Rules": [theirs]})
    found = run_setup(settings, vault)
    rules = client.get_bucket_lifecycle_configuration(Bucket=settings.bucket)["Rules"]
    assert {rule["ID"] for rule in rules} == {"theirs", "cora-abandoned-uploads"}
    assert any("after 30 days" in line for line in found["problems"])


@pytest.mark.slow
def test_lifecycle_rule_really_clears_uploads(settings: OffsiteSettings, client: Any, vault: Path) -> None:
    """A day lasts ten seconds on this gateway, so seven of them a little over a minute."""
    run_setup(settings, vault)
    client.create_multipart_upload(Bucket=settings.bucket, Key="prod/2026-01-01/x")
    client.create_multipart_upload(Bucket=settings.bucket, Key="other/x")
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        left = [upload["Key"] for upload in client.list_multipart_uploads(Bucket=settings.bucket).get("Uploads", [])]
        if left == ["other/x"]:
            return
        time.sleep(1)
    pytest.fail(f"still there: {left}")


def test_public_bucket_is_told(settings: OffsiteSettings, client: Any, vault: Path) -> None:
    everybody = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{settings.bucket}/*",
            }
        ],
    }  # fmt: skip
    client.put_bucket_policy(Bucket=settings.bucket, Policy=json.dumps(everybody))
    found = run_setup(settings, vault)
    assert found["public"] is True and "WITHOUT a key" in found["problems"][0]


def test_deleted_object_of_a_versioned_bucket_comes_back(
    settings: OffsiteSettings, client: Any, project: Path, vault: Path, tmp_path: Path
) -> None:
    run_setup(settings, vault)
    made = backup(project, vault)
    run_sync(settings, vault)
    prefix = backup_prefix("prod", made.id)
    for entry in client.list_objects_v2(Bucket=settings.bucket, Prefix=prefix)["Contents"]:
        client.delete_object(Bucket=settings.bucket, Key=entry["Key"])
    assert "Contents" not in client.list_objects_v2(Bucket=settings.bucket, Prefix=prefix)
    # as docs/offsite.md says: removing the marks of the deletion brings all back
    for mark in client.list_object_versions(Bucket=settings.bucket, Prefix=prefix)["DeleteMarkers"]:
        client.delete_object(Bucket=settings.bucket, Key=mark["Key"], VersionId=mark["VersionId"])
    rclone_download(settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")


@pytest.fixture
def writer(rgw: Rgw, settings: OffsiteSettings, client: Any) -> OffsiteSettings:
    """A key that may only write, by the policy of the documentation, into a versioned bucket of the owner."""
    keys = rgw.make_user("writer")
    client.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    (policy,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    client.put_bucket_policy(Bucket=settings.bucket, Policy=policy.replace("cora-backups", settings.bucket))
    return dataclasses.replace(settings, credentials=Credentials(keys.access_key, keys.secret_key))


def test_key_that_may_only_write(
    settings: OffsiteSettings, writer: OffsiteSettings, client: Any, project: Path, vault: Path, tmp_path: Path
) -> None:
    found = run_setup(writer, vault)
    may = found["may"]
    assert (may["write"], may["list"], may["read"], may["delete"], may["delete_for_good"]) == (
        True, False, False, False, False,
    )  # fmt: skip
    assert "Not delete backups." in found["stolen_key"] and "Not read the backups." in found["stolen_key"]
    made = backup(project, vault)
    assert run_sync(writer, vault)["uploaded"] == [made.id]
    again = run_sync(writer, vault)
    assert (again["changed"], again["bytes_sent"]) == (False, 0)
    rclone_download(settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")
    # a thief who has the key
    thief = connect(writer).client
    key = backup_prefix("prod", made.id) + "cora-full.tar.gz"
    versions = client.list_object_versions(Bucket=settings.bucket, Prefix=key)["Versions"]
    assert is_denied(thief.get_object, Bucket=settings.bucket, Key=key)
    assert is_denied(thief.delete_object, Bucket=settings.bucket, Key=key)
    assert is_denied(thief.delete_object, Bucket=settings.bucket, Key=key, VersionId=versions[0]["VersionId"])
    assert is_denied(
        thief.put_bucket_versioning, Bucket=settings.bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    thief.put_object(Bucket=settings.bucket, Key=key, Body=b"ransom")
    kept = client.get_object(Bucket=settings.bucket, Key=key, VersionId=versions[0]["VersionId"])
    assert kept["Body"].read() == made.archive.read_bytes()


def test_upload_that_was_killed_is_resumed_by_a_key_that_may_only_write(
    settings: OffsiteSettings, writer: OffsiteSettings, vault: Path, tmp_path: Path
) -> None:
    made = backup(make_large_project(tmp_path / "large", size_bytes=60 * MIB), vault)
    with ChaosProxy(port_of(writer), bytes_per_second=40 * MIB) as proxy:
        process = start_sync(through(writer, proxy.port), vault, tmp_path / "backup.env", connections=2)
        proxy.wait_for(40 * MIB)
        process.kill()
        process.communicate()
    with ChaosProxy(port_of(writer)) as proxy:
        # the place is part of what was noted, so it has to be the same
        note = vault / ".cora" / "offsite" / f"{made.id}.json"
        noted = json.loads(note.read_text())
        noted["remote"] = through(writer, proxy.port).place
        note.write_text(json.dumps(noted))
        result = run_sync(through(writer, proxy.port), vault)
    assert result["uploaded"] == [made.id] and result["bytes_found"] >= 24 * MIB
    assert proxy.sent_bytes < 40 * MIB
    rclone_download(settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")


def test_object_lock(settings: OffsiteSettings, client: Any, project: Path, vault: Path, tmp_path: Path) -> None:
    locked = dataclasses.replace(settings, bucket=f"locked-{uuid.uuid4().hex[:8]}")
    client.create_bucket(Bucket=locked.bucket, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=locked.bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}},
        },
    )
    found = run_setup(locked, vault)
    assert found["object_lock"] == {"mode": "COMPLIANCE", "days": 30}
    assert found["may"]["delete_for_good"] is False and found["delete_can_be_undone"] is True
    assert any("30 days" in line for line in found["protects"])
    assert not any("for good" in line for line in found["stolen_key"])
    made = backup(make_large_project(tmp_path / "large", size_bytes=20 * MIB), vault)
    assert run_sync(locked, vault)["uploaded"] == [made.id]
    # the owner's own key cannot destroy it
    key = backup_prefix("prod", made.id) + "cora-full.tar.gz"
    version = client.head_object(Bucket=locked.bucket, Key=key)["VersionId"]
    assert is_denied(client.delete_object, Bucket=locked.bucket, Key=key, VersionId=version)
    client.delete_object(Bucket=locked.bucket, Key=key)
    kept = client.get_object(Bucket=locked.bucket, Key=key, VersionId=version)
    assert kept["ContentLength"] == made.archive.stat().st_size


def test_wrong_key_is_told(settings: OffsiteSettings, vault: Path) -> None:
    wrong = dataclasses.replace(settings, credentials=Credentials("NOBODY", "x"))
    with pytest.raises(Exception, match="SPACES_ACCESS_KEY"):
        run_setup(wrong, vault)
    assert read_bucket(Vault(str(vault))) is None
