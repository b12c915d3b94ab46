# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted backups: nothing readable leaves, all of it comes back, by cora and by hand."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import offsite_crypt
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    CoraError,
    IntegrityError,
    NotFoundError,
    OffsiteError,
    SettingsError,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync, upload_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite
from ansible_collections.cora.backup.plugins.module_utils.s3_client import connect
from offsite.away import fetch, replace_object, with_a_bit_flipped
from offsite.lab import MIB, make_large_project, port_of, start_sync, through
from support.chaos_proxy import ChaosProxy
from support.engine import Made, backup, restore
from support.tools import remove_sealed, tool

SECRET = b"a line that nobody else may read\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "identity.txt"
    offsite_crypt.make_key(str(path))
    return path


@pytest.fixture
def sealed_letters(settings: OffsiteSettings, key: Path) -> OffsiteSettings:
    """Settings of a server that can encrypt, and cannot read."""
    return dataclasses.replace(settings, encrypt_to=(offsite_crypt.recipient_of(str(key)),))


@pytest.fixture
def with_key(sealed_letters: OffsiteSettings, key: Path) -> OffsiteSettings:
    """Settings of who has the key."""
    return dataclasses.replace(sealed_letters, identity_file=str(key))


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    (project / ".env").write_bytes(SECRET)
    (project / ("n" * 240 + "WORK_LOG-ü")).write_bytes(SECRET)
    (project / "noise").write_bytes(os.urandom(9_000_000))
    return backup(project, vault)


@pytest.fixture
def there(sealed_letters: OffsiteSettings, made: Made, vault: Path) -> Made:
    upload_backup(connect(sealed_letters), str(vault), made.id)
    return made


@pytest.fixture
def new_vault(tmp_path: Path) -> Any:
    path = tmp_path / "new-machine" / "vault"
    yield path
    remove_sealed(path)


def objects(client: Any, settings: OffsiteSettings) -> dict[str, dict[str, Any]]:
    """All there is, as the service gives it to anybody who has the key of the bucket."""
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=settings.bucket)["Contents"]]
    answers = {key: client.get_object(Bucket=settings.bucket, Key=key) for key in keys}
    return {key: {"data": answer["Body"].read(), **answer["Metadata"]} for key, answer in answers.items()}


def test_nothing_readable_leaves(client: Any, settings: OffsiteSettings, there: Made, vault: Path) -> None:
    stored = objects(client, settings)
    assert stored and all(key.endswith(".age") for key in stored)
    assert all(one["data"].startswith(b"age-encryption.org/v1") for one in stored.values())
    assert not any(SECRET in one["data"] for one in stored.values())
    told = str([{name: value for name, value in one.items() if name != "data"} for one in stored.values()])
    digests = {line.split()[0].decode() for line in (there.path / "SHA256SUMS.txt").read_bytes().splitlines()}
    assert not any(digest in told for digest in digests), "a digest of a plain file lets one confirm a guess"
    assert str(there.report["project"]) not in told
    assert not (vault / ".cora/offsite" / there.id).exists(), "the ciphertext is not kept once it was sent"


def test_it_comes_back_whole(with_key: OffsiteSettings, there: Made, new_vault: Path) -> None:
    fetch(with_key, new_vault, "latest")
    tool("diff", "-r", there.path, new_vault / there.id)
    tool("sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS.txt", cwd=new_vault / there.id)


def test_a_restore_of_one_file(with_key: OffsiteSettings, there: Made, project: Path, new_vault: Path) -> None:
    (project / ".env").unlink()
    plan = restore(
        new_vault, there.id, project=project, scenario="files", files=(".env",), offsite=with_key, check=True
    )
    assert plan["counts"]["create"] == 1
    restore(new_vault, there.id, project=project, scenario="files", files=(".env",), offsite=with_key)
    assert (project / ".env").read_bytes() == SECRET


def test_by_hand_with_age_alone(client: Any, settings: OffsiteSettings, there: Made, key: Path, tmp_path: Path) -> None:
    target = tmp_path / "by-hand"
    for name, one in objects(client, settings).items():
        file = target / name.split(f"/{there.id}/")[1][: -len(".age")]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tool("age", "--decrypt", "--identity", key, input_bytes=one["data"]))
    tool("sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS.txt", cwd=target)
    out = tmp_path / "out"
    out.mkdir()
    tool("tar", "-xzf", target / "cora-full.tar.gz", "-C", out)
    assert (out / ".env").read_bytes() == SECRET


def test_without_the_key_nothing_is_fetched(sealed_letters: OffsiteSettings, there: Made, new_vault: Path) -> None:
    with pytest.raises(SettingsError, match="cora_offsite_identity_file"):
        fetch(sealed_letters, new_vault, there.id)


def test_another_key_is_not_damage(
    sealed_letters: OffsiteSettings, there: Made, new_vault: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    offsite_crypt.make_key(str(other))
    with pytest.raises(NotFoundError, match="does not open"):
        fetch(dataclasses.replace(sealed_letters, identity_file=str(other)), new_vault, there.id)


def test_nothing_is_sent_where_encryption_is_asked_for_and_impossible(
    client: Any, settings: OffsiteSettings, made: Made, vault: Path
) -> None:
    wrong = dataclasses.replace(settings, encrypt_to=("age1nobody",))
    with pytest.raises(CoraError, match="nothing is sent"):
        sync(SyncRequest(vault=str(vault), settings=wrong))
    assert client.list_objects_v2(Bucket=settings.bucket).get("KeyCount") == 0


def test_a_killed_upload_goes_on_with_the_same_ciphertext(
    sealed_letters: OffsiteSettings,
    with_key: OffsiteSettings,
    vault: Path,
    new_vault: Path,
    tmp_path: Path,
) -> None:
    made = backup(make_large_project(tmp_path / "large", size_bytes=40 * MIB), vault)
    with ChaosProxy(port_of(sealed_letters), bytes_per_second=20 * MIB) as proxy:
        options: dict[str, Any] = {"encrypt_to": sealed_letters.encrypt_to, "connections": 1}
        process = start_sync(through(sealed_letters, proxy.port), vault, tmp_path / "backup.env", **options)
        proxy.wait_for(28 * MIB)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert any((vault / ".cora/offsite" / made.id).glob("*.age")), "the ciphertext waits for the next run"
    time.sleep(1)  # a part whose last bytes are with the service may still become one
    with ChaosProxy(port_of(sealed_letters)) as proxy:
        again = sync(SyncRequest(vault=str(vault), settings=through(sealed_letters, proxy.port)))
        assert again["uploaded"] == [made.id]
        assert again["bytes_found"] >= 8 * MIB
        assert proxy.sent_bytes < 33 * MIB
    fetch(with_key, new_vault, made.id)
    tool("diff", "-r", made.path, new_vault / made.id)


@pytest.mark.parametrize("path", ["cora-full.tar.gz", "critical/.env"])
def test_a_damaged_object_is_found(
    client: Any, with_key: OffsiteSettings, there: Made, new_vault: Path, path: str
) -> None:
    replace_object(client, with_key, there.id, path, with_a_bit_flipped(-3))
    with pytest.raises(IntegrityError, match="damaged"):
        fetch(with_key, new_vault, there.id)
    assert not (new_vault / there.id).exists()
    found = verify_offsite(VerifyRequest(str(new_vault), with_key, there.id, deep=True))
    assert [one["artifact"] for one in found["damaged"]] == [path]


def test_verify(with_key: OffsiteSettings, there: Made, vault: Path) -> None:
    for deep in (False, True):
        found = verify_offsite(VerifyRequest(str(vault), with_key, there.id, deep=deep))
        assert (found["ok"], found["encrypted"], found["damaged"]) == (True, True, [])


def test_ciphertext_takes_no_room_that_the_next_backup_needs(
    sealed_letters: OffsiteSettings, client: Any, project: Path, tmp_path: Path
) -> None:
    (project / "noise").write_bytes(os.urandom(9 * MIB))
    mount = tmp_path / "small"
    mount.mkdir()
    tool("mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", mount)
    try:
        made = backup(project, mount / "vault", seal="best_effort")
        with pytest.raises(OffsiteError, match="Free space"):
            upload_backup(connect(sealed_letters), str(mount / "vault"), made.id)
        assert client.list_objects_v2(Bucket=sealed_letters.bucket).get("KeyCount") == 0
    finally:
        remove_sealed(mount / "vault")
        tool("umount", mount)
