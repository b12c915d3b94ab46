# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploading: what stands in the bucket afterwards is the backup, as other programs read it, and nothing goes twice."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    IntegrityError,
    NotFoundError,
    OffsiteMissingError,
    SettingsError,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import list_dates, marker, newest
from ansible_collections.cora.backup.plugins.module_utils.offsite_list import list_offsite
from ansible_collections.cora.backup.plugins.module_utils.offsite_notes import read_note
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync, upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from offsite.lab import MIB, check_sums, make_large_project, port_of, rclone_download, through
from support.chaos_proxy import ChaosProxy
from support.engine import backup
from support.tools import tool
from support.trees import NAMES

#: What requests cost besides their bodies: headers, TLS, and requests that only ask.
OVERHEAD_BYTES = 200_000


def run_sync(settings: OffsiteSettings, vault: Path, **request: Any) -> dict[str, Any]:
    return sync(SyncRequest(vault=str(vault), settings=settings, **request))


def test_what_is_uploaded_is_the_backup(s3: S3, project: Path, vault: Path, tmp_path: Path) -> None:
    made = backup(project, vault)
    assert marker(s3, made.id) is None
    result = upload_backup(s3, str(vault), made.id)
    assert result["changed"] and result["bytes_sent"] > 0
    rclone_download(s3.settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")
    tool("diff", "-r", made.path, tmp_path / "there")
    assert newest(s3) == made.id == newest(s3, project=str(project))
    assert list_dates(s3) == [f"{made.id[:4]}-{made.id[4:6]}-{made.id[6:8]}"]
    rows = list_offsite(s3, str(vault))
    assert [(row["id"], row["project"], row["local"]) for row in rows] == [(made.id, str(project), True)]
    assert rows[0]["size_bytes"] == sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file())


def test_check_run_check_run(settings: OffsiteSettings, s3: S3, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    checked = run_sync(settings, vault, check=True)
    assert (checked["changed"], checked["uploaded"]) == (True, [made.id]) and marker(s3, made.id) is None
    assert run_sync(settings, vault)["uploaded"] == [made.id]
    assert run_sync(settings, vault, check=True)["changed"] is False
    with ChaosProxy(port_of(settings)) as proxy:
        again = run_sync(through(settings, proxy.port), vault)
    assert (again["changed"], again["bytes_sent"], again["uploaded"]) == (False, 0, [])
    assert 0 < proxy.sent_bytes < OVERHEAD_BYTES


def test_oldest_first_and_the_marker_last(settings: OffsiteSettings, client: Any, project: Path, vault: Path) -> None:
    first = backup(project, vault)
    (project / "more.txt").write_text("more")
    second = backup(project, vault)
    assert run_sync(settings, vault)["uploaded"] == [first.id, second.id]
    for made in (first, second):
        contents = client.list_objects_v2(Bucket=settings.bucket, Prefix=f"prod/{made.id[:4]}")["Contents"]
        stored = {
            entry["Key"].split(made.id + "/")[1]: entry["LastModified"] for entry in contents if made.id in entry["Key"]
        }
        assert max(stored.values()) == stored["SHA256SUMS.txt"]


def test_digests_and_times_stand_beside_each_object(
    settings: OffsiteSettings, client: Any, project: Path, vault: Path
) -> None:
    made = backup(project, vault)
    run_sync(settings, vault)
    prefix = f"prod/{made.id[:4]}-{made.id[4:6]}-{made.id[6:8]}/{made.id}/"
    for file in (path for path in made.path.rglob("*") if path.is_file()):
        found = client.head_object(Bucket=settings.bucket, Key=prefix + str(file.relative_to(made.path)))
        assert found["Metadata"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert found["Metadata"]["mtime"] == "{}.{:09d}".format(*divmod(file.stat().st_mtime_ns, 10**9))


def test_unchanged_ranges_are_copied_by_the_service(settings: OffsiteSettings, vault: Path, tmp_path: Path) -> None:
    project = make_large_project(tmp_path / "project", size_bytes=96 * MIB)
    run = backup(project, vault)
    with ChaosProxy(port_of(settings)) as proxy:
        run_sync(through(settings, proxy.port), vault)
        assert proxy.sent_bytes > 96 * MIB
    before_changes = (project / "photos-2.bin").read_bytes()
    (project / "photos-2.bin").write_bytes(
        before_changes[: 4 * MIB] + os.urandom(1000) + before_changes[4 * MIB + 1000 :]
    )
    made = backup(project, vault)
    with ChaosProxy(port_of(settings)) as proxy:
        result = run_sync(through(settings, proxy.port), vault)
    archive_bytes = made.archive.stat().st_size
    assert result["bytes_copied"] > archive_bytes * 0.8
    assert proxy.sent_bytes < result["bytes_sent"] + OVERHEAD_BYTES < archive_bytes * 0.2
    for each in (run, made):
        rclone_download(settings, each.id, tmp_path / each.id)
        check_sums(tmp_path / each.id)
        tool("cmp", each.archive, tmp_path / each.id / "cora-full.tar.gz")


def test_where_copying_is_not_allowed_all_is_sent(
    settings: OffsiteSettings, client: Any, vault: Path, tmp_path: Path
) -> None:
    project = make_large_project(tmp_path / "project", size_bytes=20 * MIB)
    first = backup(project, vault)
    run_sync(settings, vault)
    (project / "README.md").write_text("# other\n")
    # the older archive is another one there: what the service copies is not what stands here, and must not be taken
    prefix = f"prod/{first.id[:4]}-{first.id[4:6]}-{first.id[6:8]}/{first.id}/"
    client.put_object(Bucket=settings.bucket, Key=prefix + "cora-full.tar.gz", Body=os.urandom(25 * MIB))
    made = backup(project, vault)
    result = run_sync(settings, vault)
    assert result["bytes_copied"] == 0 and result["uploaded"] == [made.id]
    rclone_download(settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")


def test_names_that_are_hard_to_keep(settings: OffsiteSettings, s3: S3, vault: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    long_path = os.fsencode(project) + b"/" + b"/".join([b"d" * 200] * 5)
    os.makedirs(long_path)
    for directory in (os.fsencode(project), long_path):
        for name in NAMES:
            with open(
                os.path.join(directory, b"WORK_LOG" + name)[:4000]
                if len(name) < 200
                else os.path.join(directory, name),
                "wb",
            ) as stream:
                stream.write(name)
    made = backup(project, vault, critical=("*",))
    run_sync(settings, vault)
    sums = (made.path / "SHA256SUMS.txt").read_bytes().count(b"\n")
    stored = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix="prod/")["Contents"]
    assert len({entry["Key"] for entry in stored}) == sums + 1
    assert not run_sync(settings, vault)["changed"]


def test_a_damaged_backup_is_not_sent_and_the_next_one_is(
    settings: OffsiteSettings, s3: S3, project: Path, vault: Path
) -> None:
    damaged, good = backup(project, vault), backup(project, vault)
    tool("chattr", "-R", "-i", damaged.path)
    data = bytearray(damaged.archive.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.archive.write_bytes(data)
    result = run_sync(settings, vault)
    assert [(row["id"], row["error"]) for row in result["failures"]] == [(damaged.id, "IntegrityError")]
    assert result["uploaded"] == [good.id]
    assert marker(s3, damaged.id) is None and marker(s3, good.id) is not None


def test_object_that_others_change_on_the_way_is_seen(
    settings: OffsiteSettings, s3: S3, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(project, vault)
    put = s3.client.put_object

    def put_and_replace(**request: Any) -> Any:
        answer = put(**request)
        put(Bucket=request["Bucket"], Key=request["Key"], Body=b"of somebody else")
        return answer

    monkeypatch.setattr(s3.client, "put_object", put_and_replace)
    monkeypatch.setattr(
        "ansible_collections.cora.backup.plugins.module_utils.offsite_upload.connect", lambda settings: s3
    )
    result = run_sync(settings, vault)
    assert [row["error"] for row in result["failures"]] == [IntegrityError.__name__]
    assert read_note(Vault(str(vault)), made.id) in (None, {}) or not result["uploaded"]


def test_bandwidth_is_limited(settings: OffsiteSettings, vault: Path, tmp_path: Path) -> None:
    project = make_large_project(tmp_path / "project", size_bytes=6 * MIB)
    backup(project, vault)
    began = time.monotonic()
    result = run_sync(dataclasses.replace(settings, bytes_per_second=2 * MIB), vault)
    # never faster; how much slower is the machine's business
    assert time.monotonic() - began > result["bytes_sent"] / (2 * MIB) * 0.9


def test_storage_class_is_asked_for(settings: OffsiteSettings, s3: S3, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    result = run_sync(dataclasses.replace(settings, storage_class="NO_SUCH_CLASS"), vault)
    assert "storage class" in result["failures"][0]["message"]
    assert run_sync(dataclasses.replace(settings, storage_class="STANDARD"), vault)["uploaded"] == [made.id]


def test_prefixes_are_checked() -> None:
    for prefix in ("/x", "a//b", "a/../b", "x" * 121, "", "ü"):
        with pytest.raises(SettingsError):
            OffsiteSettings(endpoint="https://example.org", region="x", bucket="b", prefix=prefix)


def test_only_what_was_asked_for(settings: OffsiteSettings, s3: S3, project: Path, vault: Path) -> None:
    first, second = backup(project, vault), backup(project, vault)
    with pytest.raises(NotFoundError):
        run_sync(settings, vault, ids=("20010101-000000-nogit",))
    assert run_sync(settings, vault, ids=("latest",))["uploaded"] == [second.id]
    assert marker(s3, first.id) is None
    with pytest.raises(OffsiteMissingError):
        run_sync(dataclasses.replace(settings, bucket="no-such-bucket"), vault, check=True)
