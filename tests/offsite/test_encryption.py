# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption by age: what it makes, age opens; what is not right is refused before anything is sent."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import offsite_crypt
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, NotFoundError, SettingsError

CONTENT = os.urandom(300_000) + b"the end"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "identity.txt"
    offsite_crypt.make_key(str(path))
    return path


@pytest.fixture
def encrypted(tmp_path: Path, key: Path) -> Path:
    plain, target = tmp_path / "plain", tmp_path / "plain.age"
    plain.write_bytes(CONTENT)
    offsite_crypt.encrypt_file(str(plain), str(target), [offsite_crypt.recipient_of(str(key))])
    return target


def age(*words: str) -> bytes:
    return subprocess.run(["age", *words], check=True, capture_output=True).stdout


def test_age_opens_what_was_encrypted(encrypted: Path, key: Path) -> None:
    assert CONTENT[:40] not in encrypted.read_bytes()
    assert age("--decrypt", "--identity", str(key), str(encrypted)) == CONTENT


def test_what_age_encrypted_is_opened(tmp_path: Path, key: Path) -> None:
    plain, target = tmp_path / "by-hand.age", tmp_path / "by-hand"
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    age("--recipient", offsite_crypt.recipient_of(str(key)), "--output", str(plain), str(source))
    offsite_crypt.decrypt_file(str(plain), str(target), str(key))
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_key_is_for_its_owner_only_and_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(SettingsError, match="never overwritten"):
        offsite_crypt.make_key(str(key))
    assert key.read_bytes() == before


def test_the_recovery_sheet_is_enough(tmp_path: Path, encrypted: Path, key: Path) -> None:
    sheet = offsite_crypt.recovery_sheet(str(key), where="s3://cora-backups/prod")
    typed = tmp_path / "typed.txt"
    typed.write_text(next(word for word in sheet.split() if word.startswith("AGE-SECRET-KEY-1")) + "\n")
    assert age("--decrypt", "--identity", str(typed), str(encrypted)) == CONTENT
    assert "s3://cora-backups/prod" in sheet


def test_a_damaged_file_leaves_nothing_that_looks_whole(tmp_path: Path, encrypted: Path, key: Path) -> None:
    data = bytearray(encrypted.read_bytes())
    data[-100_000] ^= 1
    encrypted.write_bytes(data)
    target = tmp_path / "target"
    with pytest.raises(IntegrityError, match=r"plain\.age cannot be decrypted"):
        offsite_crypt.decrypt_file(str(encrypted), str(target), str(key))
    assert not target.exists()


def test_a_cut_file_is_damaged(tmp_path: Path, encrypted: Path, key: Path) -> None:
    encrypted.write_bytes(encrypted.read_bytes()[:-70_000])
    with pytest.raises(IntegrityError):
        offsite_crypt.decrypt_file(str(encrypted), str(tmp_path / "target"), str(key))


def test_another_key_is_told_from_damage(tmp_path: Path, encrypted: Path) -> None:
    other = tmp_path / "other.txt"
    offsite_crypt.make_key(str(other))
    with pytest.raises(NotFoundError, match="does not open"):
        offsite_crypt.decrypt_file(str(encrypted), str(tmp_path / "target"), str(other))


def test_no_recipient_means_no_upload() -> None:
    with pytest.raises(SettingsError, match="nothing is sent"):
        offsite_crypt.check_recipients([])


def test_a_secret_key_is_not_taken_for_a_recipient_nor_repeated(key: Path) -> None:
    secret = key.read_text().split()[-1]
    with pytest.raises(SettingsError, match="secret key") as caught:
        offsite_crypt.check_recipients([secret])
    assert secret not in str(caught.value)


@pytest.mark.parametrize("recipient", ["age1short", "ssh-ed25519 AAAA", "--output=/etc/passwd"])
def test_what_is_no_recipient_is_refused(recipient: str) -> None:
    with pytest.raises(SettingsError, match="no recipient"):
        offsite_crypt.check_recipients([recipient])


def test_an_identity_that_others_can_read_is_refused(key: Path) -> None:
    assert offsite_crypt.check_identity(str(key)) == str(key)
    key.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 0600"):
        offsite_crypt.check_identity(str(key))


def test_a_missing_identity_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="recovery sheet"):
        offsite_crypt.check_identity(str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="cora_offsite_identity_file"):
        offsite_crypt.check_identity(None)
