# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify offsite: what is lost, cut or replaced is found without reading; what rotted is found by reading, by name."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import layout
from ansible_collections.cora.backup.plugins.module_utils.errors import NotFoundError
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import key_of
from ansible_collections.cora.backup.plugins.module_utils.offsite_notes import read_note
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.offsite_verify import VerifyRequest, verify_offsite
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from offsite.away import gets_logged, replace_object, with_a_bit_flipped, with_another_digit
from support.engine import Made, backup
from support.rgw import Rgw

MIB = 1024 * 1024


@pytest.fixture
def there(s3: S3, project: Path, vault: Path) -> Made:
    (project / "large.bin").write_bytes(random.Random(7).randbytes(20 * MIB))
    (project / "many").mkdir()
    for number in range(40):
        (project / "many" / f"{number:02d}").write_bytes(random.Random(number).randbytes(100_000))
    made = backup(project, vault)
    upload_backup(s3, str(vault), made.id)
    return made


def verify(settings: OffsiteSettings, vault: Path, id_text: str = "latest", *, deep: bool = False) -> dict[str, Any]:
    return verify_offsite(VerifyRequest(str(vault), settings, id_text, deep=deep))


def damaged(found: dict[str, Any]) -> list[str]:
    return sorted({one["artifact"] for one in found["damaged"]})


def test_a_good_one(settings: OffsiteSettings, rgw: Rgw, there: Made, vault: Path) -> None:
    seen = len(rgw.main.log)
    found = verify(settings, vault)
    assert (found["ok"], found["id"], found["damaged"]) == (True, there.id, [])
    names = {path.rsplit("/", 1)[1] for path, _size in gets_logged(rgw.main.log[seen:])}
    assert names == {"SHA256SUMS.txt"}, "without --deep nothing else is downloaded"
    deep = verify(settings, vault, deep=True)
    assert deep["ok"] and deep["bytes_read"] > there.archive.stat().st_size
    note = read_note(Vault(str(vault)), there.id)
    assert note and note["result"] == "complete" and note["verified"]["deep"]
    verify(settings, vault)
    note = read_note(Vault(str(vault)), there.id)
    assert note and note["verified"]["deep"], "a quick look takes nothing from a full check"


def test_a_new_machine_can_look_too(settings: OffsiteSettings, there: Made, tmp_path: Path) -> None:
    for deep in (False, True):
        assert verify(settings, tmp_path / "nothing", there.id, deep=deep)["ok"]
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("change", ["missing", "cut", "other", "foreign"])
def test_found_without_reading(settings: OffsiteSettings, client: Any, there: Made, vault: Path, change: str) -> None:
    key = key_of(settings.prefix, there.id, layout.ARCHIVE)
    if change == "missing":
        client.delete_object(Bucket=settings.bucket, Key=key)
    elif change == "cut":
        replace_object(client, settings, there.id, layout.ARCHIVE, lambda data: data[:-1])
    elif change == "foreign":
        client.put_object(Bucket=settings.bucket, Key=key, Body=there.archive.read_bytes())
    else:
        digest = layout.sha256_of(b"other")
        client.put_object(Bucket=settings.bucket, Key=key, Body=b"other", Metadata={"sha256": digest})
    found = verify(settings, vault)
    assert (found["ok"], damaged(found)) == (False, [layout.ARCHIVE])
    note = read_note(Vault(str(vault)), there.id)
    assert note and note["verified"]["ok"] is False


@pytest.mark.parametrize("path", ["MANIFEST.txt", "critical/AI_WORK_LOG.md", "INDEX.jsonl.gz", "SHA256SUMS.txt"])
def test_what_rotted_is_found_by_reading(
    settings: OffsiteSettings, client: Any, there: Made, vault: Path, path: str
) -> None:
    change = with_another_digit if path == layout.SUMS else with_a_bit_flipped(10)
    replace_object(client, settings, there.id, path, change)
    found = verify(settings, vault, deep=True)
    assert not found["ok"]
    # of a digest that rotted nobody can tell that it is not the file
    assert damaged(found) == ([path] if path != layout.SUMS else ["INDEX.jsonl.gz", path])


def test_what_rotted_in_the_archive_has_names(settings: OffsiteSettings, client: Any, there: Made, vault: Path) -> None:
    frames = {line["frame"]: line for line in there.index if "offset" in line}
    large, small = there.entries["large.bin"], there.entries["many/20"]
    for entry, behind in ((large, 2), (small, 0)):
        at = frames[entry["frame"] + behind]["offset"] + 50
        replace_object(client, settings, there.id, layout.ARCHIVE, with_a_bit_flipped(at))
    assert verify(settings, vault)["ok"], "what is only told of an object does not show this"
    found = verify(settings, vault, deep=True)
    neighbours = {path for path, entry in there.entries.items() if entry["frame"] == small["frame"]}
    assert {one["path"] for one in found["damaged"]} == neighbours | {"large.bin"}
    assert f"All files but {len(neighbours) + 1}" in found["restorable"]


def test_a_backup_that_was_replaced_by_another_is_found(
    settings: OffsiteSettings, client: Any, there: Made, vault: Path
) -> None:
    sums = layout.read_sums(str(there.path))
    del sums["MANIFEST.txt"]
    key = key_of(settings.prefix, there.id, layout.SUMS)
    client.put_object(Bucket=settings.bucket, Key=key, Body=layout.encode_sums(sums))
    found = verify(settings, vault)
    assert (found["ok"], damaged(found)) == (False, [layout.SUMS])
    assert "1 objects" in " ".join(found["warnings"])


def test_no_such_backup(settings: OffsiteSettings, there: Made, vault: Path) -> None:
    with pytest.raises(NotFoundError, match="cora offsite list"):
        verify(settings, vault, "20200101")
