# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring what is only offsite: on a new machine, whole; and one file without fetching the rest."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, NotFoundError
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from offsite.away import gets_logged, replace_object, with_a_bit_flipped
from support.engine import Made, backup, restore
from support.rgw import Rgw
from support.tools import remove_sealed, tool

MIB = 1024 * 1024


@pytest.fixture
def there(s3: S3, project: Path, vault: Path) -> Made:
    """A backup of some size that is only offsite: the vault it came from is gone, and the project too."""
    (project / "large.bin").write_bytes(random.Random(7).randbytes(20 * MIB))
    (project / "many").mkdir()
    for number in range(60):
        (project / "many" / f"{number:02d}").write_bytes(random.Random(number).randbytes(100_000))
    os.utime(project / "many" / "31", ns=(0, 1_500_000_000_123_456_789))
    (project / "many" / "31").chmod(0o640)
    made = backup(project, vault)
    upload_backup(s3, str(vault), made.id)
    tool("cp", "-a", project, project.with_name("original"))
    return made


@pytest.fixture
def new_vault(tmp_path: Path) -> Any:
    """That of another machine, which has nothing yet."""
    path = tmp_path / "new-machine" / "vault"
    yield path
    remove_sealed(path)


def test_one_file_costs_its_frame_and_not_the_archive(
    settings: OffsiteSettings, rgw: Rgw, there: Made, project: Path, new_vault: Path
) -> None:
    (project / "many" / "31").unlink()
    seen = len(rgw.main.log)
    result = restore(new_vault, there.id, project=project, scenario="files", files=("many/31",), offsite=settings)
    tool("diff", "-r", project.with_name("original"), project)
    status = (project / "many" / "31").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o640, 1_500_000_000_123_456_789)
    gets = gets_logged(rgw.main.log[seen:])
    from_archive = [size for path, size in gets if path.endswith("cora-full.tar.gz")]
    frame = there.entries["many/31"]["frame"]
    frames = {line["frame"]: line["length"] for line in there.index if "offset" in line}
    assert from_archive == [frames[frame]]
    assert result["bytes_fetched"] == frames[frame] < 1.5 * MIB < there.archive.stat().st_size / 10
    others = sorted(path.rsplit("/", 1)[1] for path, _size in gets if not path.endswith("cora-full.tar.gz"))
    assert others == ["INDEX.jsonl.gz", "REPORT.json", "SHA256SUMS.txt"]
    assert not (new_vault / there.id).exists()


def test_the_index_is_known_the_second_time(
    settings: OffsiteSettings, rgw: Rgw, there: Made, project: Path, new_vault: Path
) -> None:
    for name in ("31", "55"):
        (project / "many" / name).unlink()
    restore(new_vault, there.id, project=project, scenario="files", files=("many/31",), offsite=settings)
    seen = len(rgw.main.log)
    restore(new_vault, there.id, project=project, scenario="files", files=("many/55",), offsite=settings)
    tool("diff", "-r", project.with_name("original"), project)
    names = [path.rsplit("/", 1)[1] for path, _size in gets_logged(rgw.main.log[seen:])]
    assert sorted(names) == ["SHA256SUMS.txt", "cora-full.tar.gz"]


def test_a_large_file_and_a_directory(settings: OffsiteSettings, there: Made, project: Path, new_vault: Path) -> None:
    shutil.rmtree(project / "many")
    (project / "large.bin").write_bytes(b"overwritten")
    restore(new_vault, there.id, project=project, scenario="files", files=("many", "large.bin"), offsite=settings)
    tool("diff", "-r", project.with_name("original"), project)


def test_a_plan_reads_the_index_alone(
    settings: OffsiteSettings, rgw: Rgw, there: Made, project: Path, new_vault: Path
) -> None:
    (project / "README.md").unlink()
    seen = len(rgw.main.log)
    plan = restore(new_vault, "latest", project=project, scenario="full", check=True, offsite=settings)
    assert (plan["id"], plan["changed"], plan["counts"]["create"]) == (there.id, True, 1)
    assert "cora-full.tar.gz" not in str(gets_logged(rgw.main.log[seen:]))
    assert plan["commands"]["full"][0] == f"cora offsite fetch {there.id}"
    assert ".cora" not in str(plan["commands"])
    assert not (project / "README.md").exists()


def test_the_bad_day(settings: OffsiteSettings, there: Made, project: Path, new_vault: Path) -> None:
    shutil.rmtree(project)
    result = restore(new_vault, "latest", scenario="full", offsite=settings)
    assert (result["changed"], result["project"]) == (True, str(project))
    assert result["bytes_fetched"] >= there.archive.stat().st_size
    tool("diff", "-r", project.with_name("original"), project)
    tool("sha256sum", "--check", "--quiet", "SHA256SUMS.txt", cwd=new_vault / there.id)
    again = restore(new_vault, there.id, scenario="full", offsite=settings)
    assert not again["changed"]


def test_critical_files_of_a_backup_that_is_only_offsite(
    settings: OffsiteSettings, there: Made, project: Path, new_vault: Path
) -> None:
    (project / "AI_WORK_LOG.md").write_text("overwritten\n")
    restore(new_vault, there.id, scenario="critical", offsite=settings)
    tool("diff", "-r", project.with_name("original"), project)
    assert (new_vault / there.id).is_dir()


def test_the_vault_comes_first(there: Made, project: Path, vault: Path, settings: OffsiteSettings) -> None:
    nowhere = OffsiteSettings(endpoint="https://127.0.0.1:9", region="x", bucket="none")
    (project / "README.md").unlink()
    restore(vault, there.id, project=project, scenario="files", files=("README.md",), offsite=settings)
    (project / "README.md").unlink()
    result = restore(vault, "latest", project=project, scenario="full", check=True, offsite=nowhere)
    assert result["counts"]["create"] == 1


def test_a_damaged_frame_restores_nothing_and_says_so(
    settings: OffsiteSettings, client: Any, there: Made, project: Path, new_vault: Path
) -> None:
    frames = {line["frame"]: line["offset"] for line in there.index if "offset" in line}
    replace_object(
        client, settings, there.id, "cora-full.tar.gz",
        with_a_bit_flipped(frames[there.entries["many/31"]["frame"]] + 100),
    )  # fmt: skip
    (project / "many" / "31").unlink()
    (project / "src" / "main.py").unlink()
    with pytest.raises(IntegrityError, match=r"Bytes \d+ to \d+ of .* are damaged"):
        restore(new_vault, there.id, project=project, scenario="files", files=("many/31",), offsite=settings)
    assert not (project / "many" / "31").exists()
    restore(new_vault, there.id, project=project, scenario="files", files=("src/main.py",), offsite=settings)
    assert (project / "src" / "main.py").exists()


def test_an_id_that_is_nowhere(settings: OffsiteSettings, there: Made, new_vault: Path) -> None:
    with pytest.raises(NotFoundError, match="Nor is it offsite"):
        restore(new_vault, "20200101-000000-nogit", project=there.path, scenario="plan", offsite=settings)


def test_a_file_the_backup_has_not(settings: OffsiteSettings, there: Made, project: Path, new_vault: Path) -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean many/31"):
        restore(new_vault, there.id, project=project, scenario="files", files=("31",), offsite=settings)
