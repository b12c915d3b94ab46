# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fetched backup is the one that was made: bytes, owners, modes, times, links, seal; what is damaged is not kept."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import layout
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    IntegrityError,
    NotFoundError,
    OffsiteMissingError,
    OffsiteNetworkError,
    VaultError,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from offsite.away import fetch, gets_logged, replace_object, start_fetch, with_a_bit_flipped
from offsite.lab import port_of, through
from support.chaos_proxy import ChaosProxy
from support.engine import Made, backup, restore
from support.rgw import Rgw
from support.tools import remove_sealed, tool

MIB = 1024 * 1024


@pytest.fixture
def rich(project: Path) -> Path:
    """The project with what is easily lost on the way."""
    with sqlite3.connect(project / "shop.db") as database:
        database.execute("CREATE TABLE item (name TEXT)")
        database.execute("INSERT INTO item VALUES ('one')")
    database.close()
    (project / ".env").write_text("KEY=secret\n")
    (project / ".env").chmod(0o640)
    os.chown(project / ".env", 1234, 4321)
    os.utime(project / ".env", ns=(0, 1_500_000_000_123_456_789))
    (project / ".env.empty").write_bytes(b"")
    (project / "sub with space").mkdir()
    (project / "sub with space" / "100% ünï WORK_LOG+x.md").write_text("odd name\n")
    (project / "large.bin").write_bytes(random.Random(7).randbytes(20 * MIB))
    return project


@pytest.fixture
def there(s3: S3, rich: Path, vault: Path) -> Made:
    """A backup in the vault and in the bucket."""
    made = backup(rich, vault)
    upload_backup(s3, str(vault), made.id)
    return made


@pytest.fixture
def new_vault(tmp_path: Path) -> Any:
    """That of another machine."""
    path = tmp_path / "new-machine" / "vault"
    yield path
    remove_sealed(path)


def listing(top: Path) -> bytes:
    """Type, mode, owner, size, time and links of everything, as find tells it."""
    found = tool("find", ".", "-type", "f", "-printf", "%p %m %U %G %s %T@ %n\n", cwd=top)
    return b"\n".join(sorted(found.splitlines()))


def test_it_is_the_same_backup(settings: OffsiteSettings, there: Made, new_vault: Path) -> None:
    result = fetch(settings, new_vault)
    assert (result["changed"], result["id"], result["sealed"]) == (True, there.id, True)
    fetched = new_vault / there.id
    tool("diff", "-r", there.path, fetched)
    assert listing(there.path) == listing(fetched)
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=fetched)
    assert all(b"i" in line.split()[0] for line in tool("lsattr", "-R", fetched).splitlines() if b" " in line)
    assert "a" in tool("lsattr", "-d", new_vault).decode().split()[0]
    assert (fetched / "db/shop.db").stat().st_ino == (fetched / "critical/shop.db").stat().st_ino
    again = fetch(settings, new_vault)
    assert (again["changed"], again["bytes_fetched"]) == (False, 0)
    assert not (new_vault / ".cora/offsite/fetching" / there.id).exists()


def test_what_is_fetched_restores(
    settings: OffsiteSettings, there: Made, rich: Path, new_vault: Path, tmp_path: Path
) -> None:
    fetch(settings, new_vault, there.id[:15])
    target = tmp_path / "restored"
    restore(new_vault, there.id, project=target, scenario="full")
    tool("diff", "-r", "--exclude=shop.db", rich, target)
    assert tool("sqlite3", target / "shop.db", "SELECT name FROM item") == b"one\n"


def test_a_killed_fetch_goes_on_where_it_stopped(
    settings: OffsiteSettings, rgw: Rgw, there: Made, new_vault: Path
) -> None:
    slow = dataclasses.replace(settings, bytes_per_second=4 * MIB, connections=2)
    process = start_fetch(slow, new_vault, there.id)
    journal = new_vault / ".cora/offsite/fetching" / there.id / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and b"cora-full" in journal.read_bytes()):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (new_vault / there.id).exists()
    backup_of_meanwhile = backup(there_project(there), new_vault)  # its recovery leaves the fetch alone
    seen = len(rgw.main.log)
    result = fetch(settings, new_vault, there.id)
    assert result["bytes_kept"] >= 8 * MIB
    from_archive = sum(size for path, size in gets_logged(rgw.main.log[seen:]) if path.endswith("cora-full.tar.gz"))
    assert 0 < from_archive <= there.archive.stat().st_size - 8 * MIB
    tool("diff", "-r", there.path, new_vault / there.id)
    assert listing(there.path) == listing(new_vault / there.id)
    assert backup_of_meanwhile.path.exists()


def there_project(made: Made) -> Path:
    """Where a backup was made of."""
    return Path(made.report["project"])


def test_what_a_power_cut_took_is_fetched_again(settings: OffsiteSettings, there: Made, new_vault: Path) -> None:
    process = start_fetch(dataclasses.replace(settings, bytes_per_second=4 * MIB, connections=2), new_vault, there.id)
    place = new_vault / ".cora/offsite/fetching" / there.id
    deadline = time.monotonic() + 60
    while not ((place / "journal.jsonl").exists() and b"cora-full" in (place / "journal.jsonl").read_bytes()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with open(place / "backup" / "cora-full.tar.gz", "r+b") as stream:  # the journal reached the disk, the data did not
        stream.write(bytes(MIB))
    fetch(settings, new_vault, there.id)
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=new_vault / there.id)


@pytest.mark.parametrize("path", ["cora-full.tar.gz", "critical/.env", "INDEX.jsonl.gz", "SHA256SUMS.txt"])
def test_a_damaged_object_is_found_and_nothing_listed(
    settings: OffsiteSettings, client: Any, there: Made, new_vault: Path, path: str
) -> None:
    replace_object(client, settings, there.id, path, with_a_bit_flipped(-3))
    with pytest.raises(IntegrityError, match=r"damaged|not as it was written|is missing") as caught:
        fetch(settings, new_vault, there.id)
    assert path in str(caught.value) or path == "SHA256SUMS.txt"
    assert not (new_vault / there.id).exists()
    replace_object(client, settings, there.id, path, with_a_bit_flipped(-3))  # somebody sends it again
    assert fetch(settings, new_vault, there.id)["changed"]
    tool("diff", "-r", there.path, new_vault / there.id)


def test_a_missing_object_is_named(settings: OffsiteSettings, client: Any, there: Made, new_vault: Path) -> None:
    client.delete_object(Bucket=settings.bucket, Key=key_of(settings.prefix, there.id, "critical/.env"))
    with pytest.raises(IntegrityError, match=r"critical/\.env is missing"):
        fetch(settings, new_vault, there.id)
    assert not (new_vault / there.id).exists()


def test_without_its_marker_there_is_no_backup(
    settings: OffsiteSettings, client: Any, there: Made, new_vault: Path
) -> None:
    client.delete_object(Bucket=settings.bucket, Key=key_of(settings.prefix, there.id, layout.SUMS))
    with pytest.raises(NotFoundError):
        fetch(settings, new_vault, there.id)
    with pytest.raises(OffsiteMissingError):
        fetch(settings, new_vault)


@pytest.mark.parametrize("name", ["../../../escaped", "/tmp/escaped", "critical/../../../escaped", "critical//x"])
def test_names_that_lead_elsewhere_are_refused(
    settings: OffsiteSettings, client: Any, there: Made, new_vault: Path, tmp_path: Path, name: str
) -> None:
    sums = layout.read_sums(str(there.path))
    sums[name] = layout.sha256_of(b"evil")
    client.put_object(Bucket=settings.bucket, Key=key_of(settings.prefix, there.id, name), Body=b"evil")
    client.put_object(
        Bucket=settings.bucket, Key=key_of(settings.prefix, there.id, layout.SUMS), Body=layout.encode_sums(sums)
    )
    with pytest.raises(IntegrityError, match="no backup of cora does"):
        fetch(settings, new_vault, there.id)
    assert not list(tmp_path.rglob("escaped"))
    assert not Path("/tmp/escaped").exists()


def test_objects_that_no_sum_names_stay_where_they_are(
    settings: OffsiteSettings, client: Any, there: Made, new_vault: Path
) -> None:
    prefix = key_of(settings.prefix, there.id, "")
    for key in (f"{prefix}stray", f"{prefix}../../up", f"{prefix}critical/planted.sh"):
        client.put_object(Bucket=settings.bucket, Key=key, Body=b"evil")
    fetch(settings, new_vault, there.id)
    tool("diff", "-r", there.path, new_vault / there.id)


def test_too_little_room_is_said_before_anything_is_fetched(
    settings: OffsiteSettings, there: Made, tmp_path: Path
) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    tool("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", mount)
    try:
        with pytest.raises(VaultError, match=r"needs \d+ bytes"):
            fetch(settings, mount / "vault", there.id, seal="best_effort")
        assert not (mount / "vault" / there.id).exists()
    finally:
        remove_sealed(mount / "vault")
        subprocess.run(["umount", mount], check=True)


def test_connections_that_break_are_continued(
    settings: OffsiteSettings, rgw: Rgw, there: Made, new_vault: Path
) -> None:
    with ChaosProxy(port_of(settings), cut_answer_after_bytes=3 * MIB, times=5) as proxy:
        fetch(through(settings, proxy.port), new_vault, there.id)
        assert proxy.faults == 5
    starts = [int(start) for start in re.findall(r"cora-full\.tar\.gz HTTP/1\.1\" 206 .*bytes=(\d+)-", rgw.main.log)]
    assert any(start % (8 * MIB) for start in starts), "what had come before a cut was asked for again"
    tool("diff", "-r", there.path, new_vault / there.id)


def test_a_network_that_stays_away_leaves_what_came(settings: OffsiteSettings, there: Made, new_vault: Path) -> None:
    with ChaosProxy(port_of(settings), cut_answer_after_bytes=9 * MIB) as proxy:
        limited = dataclasses.replace(through(settings, proxy.port), connections=1)
        threading.Thread(target=_refuse_after, args=(proxy, 9 * MIB), daemon=True).start()
        with pytest.raises(OffsiteNetworkError, match=r"cora-full\.tar\.gz"):
            fetch(limited, new_vault, there.id)
        assert proxy.faults
    assert not (new_vault / there.id).exists()
    result = fetch(settings, new_vault, there.id)
    assert result["bytes_kept"] >= 8 * MIB
    tool("diff", "-r", there.path, new_vault / there.id)


def _refuse_after(proxy: ChaosProxy, received_bytes: int) -> None:
    while proxy.received_bytes < received_bytes:
        time.sleep(0.01)
    proxy.refuse = True


def test_the_newest_of_a_thousand_is_found_with_a_handful_of_requests(
    settings: OffsiteSettings, client: Any, rgw: Rgw, there: Made, new_vault: Path
) -> None:
    ids = [f"2025{month:02d}{day:02d}-{hour:02d}0000-nogit" for month in range(1, 11) for day in range(1, 26)
           for hour in (1, 7, 13, 19)]  # fmt: skip
    assert len(ids) == 1000

    def put(backup_id: str) -> None:
        client.put_object(Bucket=settings.bucket, Key=key_of(settings.prefix, backup_id, layout.SUMS), Body=b"")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, ids))
    seen = len(rgw.main.log)
    assert fetch(settings, new_vault, "latest", check=True)["id"] == there.id
    asked = re.findall(r'"(?:GET|HEAD) /\S*', rgw.main.log[seen:])
    assert 0 < len(asked) <= 12, asked
    seen = len(rgw.main.log)
    assert fetch(settings, new_vault, "20250907-13", check=True)["id"] == "20250907-130000-nogit"
    assert len(re.findall(r'"(?:GET|HEAD) /\S*', rgw.main.log[seen:])) <= 12
