# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that are interrupted: what is there already is not sent again, and half an upload is never a backup."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import offsite_upload, s3_client
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import marker
from ansible_collections.cora.backup.plugins.module_utils.offsite_list import list_offsite
from ansible_collections.cora.backup.plugins.module_utils.offsite_notes import read_last_run
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from ansible_collections.cora.backup.plugins.module_utils.s3_uploads import list_uploads
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from offsite.lab import MIB, check_sums, make_large_project, port_of, rclone_download, start_sync, through
from support.chaos_proxy import ChaosProxy
from support.engine import Made, backup
from support.rgw import Rgw
from support.tools import remove_sealed, tool

OVERHEAD_BYTES = 300_000


@pytest.fixture
def large(tmp_path: Path, vault: Path) -> Made:
    """A backup of 80 MiB, so of ten parts."""
    return backup(make_large_project(tmp_path / "large", size_bytes=80 * MIB), vault)


def run_sync(settings: OffsiteSettings, vault: Path) -> dict[str, Any]:
    return sync(SyncRequest(vault=str(vault), settings=settings))


def parts_there(client: Any, settings: OffsiteSettings) -> int:
    """Bytes of finished parts of unfinished uploads, as the service tells."""
    uploads = client.list_multipart_uploads(Bucket=settings.bucket).get("Uploads", [])
    return sum(
        part["Size"]
        for upload in uploads
        for part in client.list_parts(Bucket=settings.bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get(
            "Parts", []
        )
    )


def assert_is_there_whole(settings: OffsiteSettings, made: Made, target: Path) -> None:
    rclone_download(settings, made.id, target)
    check_sums(target)


def test_killed_in_the_middle_goes_on_from_there(
    settings: OffsiteSettings, s3: S3, client: Any, large: Made, vault: Path, tmp_path: Path
) -> None:
    with ChaosProxy(port_of(settings), bytes_per_second=40 * MIB) as proxy:
        process = start_sync(through(settings, proxy.port), vault, tmp_path / "backup.env", connections=2)
        proxy.wait_for(50 * MIB)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert marker(s3, large.id) is None and list_offsite(s3, str(vault)) == []
    time.sleep(1)  # a part whose last bytes are with the service may still become one
    there = parts_there(client, settings)
    assert there >= 32 * MIB
    with ChaosProxy(port_of(settings)) as proxy:
        process = start_sync(through(settings, proxy.port), vault, tmp_path / "backup.env")
        output, problems = process.communicate()
    assert process.returncode == 0, problems
    result = json.loads(output)
    assert result["uploaded"] == [large.id] and result["bytes_found"] >= there
    assert proxy.sent_bytes < large.archive.stat().st_size - there + OVERHEAD_BYTES
    assert_is_there_whole(settings, large, tmp_path / "there")
    assert list(list_uploads(s3, "prod/")) == []


@pytest.mark.slow
def test_killed_again_and_again_never_lists_half_a_backup(
    settings: OffsiteSettings, s3: S3, large: Made, vault: Path, tmp_path: Path
) -> None:
    finished = False
    for run in range(20):
        with ChaosProxy(port_of(settings), bytes_per_second=60 * MIB) as proxy:
            process = start_sync(through(settings, proxy.port), vault, tmp_path / "backup.env")
            deadline = time.monotonic() + 60
            while proxy.sent_bytes < 12 * MIB and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            finished = process.poll() == 0
            process.kill()
            process.communicate()
        if finished:
            break
        assert marker(s3, large.id) is None, run
    assert finished or run_sync(settings, vault)["uploaded"] == [large.id]
    assert_is_there_whole(settings, large, tmp_path / "there")


def test_killed_between_the_last_object_and_our_note(
    settings: OffsiteSettings, s3: S3, project: Path, vault: Path
) -> None:
    made = backup(project, vault)
    run_sync(settings, vault)
    (vault / ".cora" / "offsite" / f"{made.id}.json").unlink()
    assert run_sync(settings, vault)["changed"] is False
    assert (vault / ".cora" / "offsite" / f"{made.id}.json").exists()


def test_connections_that_break_are_made_again(
    settings: OffsiteSettings, large: Made, vault: Path, tmp_path: Path
) -> None:
    with ChaosProxy(port_of(settings), cut_after_bytes=3 * MIB, times=5) as proxy:
        result = run_sync(through(settings, proxy.port), vault)
    assert proxy.faults == 5
    assert result["uploaded"] == [large.id]
    assert_is_there_whole(settings, large, tmp_path / "there")


@pytest.mark.parametrize("request_line", ["uploads HTTP", "partNumber=3", "uploadId=", "SHA256SUMS.txt HTTP"])
def test_lost_answers_do_no_harm(
    rgw: Rgw, settings: OffsiteSettings, s3: S3, large: Made, vault: Path, tmp_path: Path, request_line: str
) -> None:
    # plain, since it takes a look at requests to know which answer to lose
    plain = dataclasses.replace(settings, endpoint=rgw.endpoint, ca_bundle=None)
    with ChaosProxy(rgw.main.port, lose_answer_to=request_line.encode(), times=2) as proxy:
        result = run_sync(through(plain, proxy.port), vault)
    assert proxy.faults == 2
    assert result["uploaded"] == [large.id]
    assert_is_there_whole(settings, large, tmp_path / "there")
    assert run_sync(settings, vault)["changed"] is False
    assert list(list_uploads(s3, "prod/")) == []


def test_network_gone_for_good_is_told_and_retried_by_the_next_run(
    settings: OffsiteSettings, s3: S3, client: Any, large: Made, vault: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    few = dataclasses.replace(settings, connections=2)
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 2)
    with ChaosProxy(port_of(settings), dies_after_bytes=40 * MIB) as proxy:
        result = run_sync(through(few, proxy.port), vault)
        assert proxy.faults >= 2
    assert result["uploaded"] == [] and result["failures"][0]["error"] == "OffsiteNetworkError"
    assert any(words in result["failures"][0]["message"] for words in ("connection broke", "cannot be reached"))
    assert marker(s3, large.id) is None
    note = read_last_run(Vault(str(vault)))
    assert note is not None and not note["ok"]
    there = parts_there(client, settings)
    assert there >= 16 * MIB
    with ChaosProxy(port_of(settings)) as proxy:
        again = run_sync(through(settings, proxy.port), vault)
    assert again["uploaded"] == [large.id] and again["bytes_found"] >= there
    assert proxy.sent_bytes < large.archive.stat().st_size - there + OVERHEAD_BYTES


def test_service_that_stalls(
    settings: OffsiteSettings, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(project, vault)
    monkeypatch.setattr(s3_client, "_READ_SECONDS", 1)
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 3)
    with ChaosProxy(port_of(settings), stall_after_bytes=2500, times=2) as proxy:
        result = run_sync(through(settings, proxy.port), vault)
        assert proxy.faults == 2
    assert result["uploaded"] == [made.id]


def test_abandoned_uploads_are_cleared_away(
    settings: OffsiteSettings, s3: S3, client: Any, project: Path, vault: Path
) -> None:
    made = backup(project, vault)
    key = f"prod/{made.id[:4]}-{made.id[4:6]}-{made.id[6:8]}/{made.id}/cora-full.tar.gz"
    others = "other/2026-01-01/20260101-000000-nogit/cora-full.tar.gz"
    young = "prod/2026-01-01/20260101-000000-nogit/cora-full.tar.gz"
    for each in (key, key, others, young):
        client.create_multipart_upload(Bucket=settings.bucket, Key=each)
    result = run_sync(settings, vault)
    # those of this backup, which is complete; not one of another machine, nor one that somebody may still be at
    assert result["swept"] == 2
    left = client.list_multipart_uploads(Bucket=settings.bucket)["Uploads"]
    assert sorted(upload["Key"] for upload in left) == [others, young]


@pytest.mark.parametrize("numbers", [(1, 2), (1, 40)], ids=["other bytes, other size", "beyond the end"])
def test_parts_that_do_not_fit_are_sent_anew(
    settings: OffsiteSettings, client: Any, large: Made, vault: Path, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    key = f"prod/{large.id[:4]}-{large.id[4:6]}-{large.id[6:8]}/{large.id}/cora-full.tar.gz"
    beside = {"sha256": hashlib.sha256(large.archive.read_bytes()).hexdigest()}
    upload = client.create_multipart_upload(Bucket=settings.bucket, Key=key, Metadata=beside)["UploadId"]
    for number in numbers:
        data = bytes(8 * MIB if number == 1 else 5 * MIB)
        client.upload_part(Bucket=settings.bucket, Key=key, UploadId=upload, PartNumber=number, Body=data)
    result = run_sync(settings, vault)
    assert (result["bytes_found"], result["failures"]) == (0, [])
    assert_is_there_whole(settings, large, tmp_path / "there")


def test_two_runs_at_a_time_are_refused(settings: OffsiteSettings, large: Made, vault: Path, tmp_path: Path) -> None:
    with ChaosProxy(port_of(settings), bytes_per_second=30 * MIB) as proxy:
        first = start_sync(through(settings, proxy.port), vault, tmp_path / "backup.env")
        proxy.wait_for(5 * MIB)
        second = start_sync(settings, vault, tmp_path / "second.env")
        output, _problems = second.communicate()
        assert second.returncode == 3 and json.loads(output)["error"] == "LockedError"
        assert first.wait() == 0
        first.communicate()


def test_backup_that_is_pruned_meanwhile_fails_nothing(
    settings: OffsiteSettings, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = backup(project, vault), backup(project, vault)
    missing_ids = offsite_upload.missing_ids

    def missing_and_pruned(*arguments: Any, **options: Any) -> list[str]:
        found = missing_ids(*arguments, **options)
        tool("chattr", "-a", vault)
        remove_sealed(gone.path)
        return found

    monkeypatch.setattr(offsite_upload, "missing_ids", missing_and_pruned)
    result = run_sync(settings, vault)
    assert (result["uploaded"], result["failures"]) == ([kept.id], [])
    assert gone.id in result["warnings"][0]
