# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Without the right to make files immutable, and without being root at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from faults.lab import check_backup, difference, engine, is_sealed, listed, tool, tree

NO_IMMUTABLE = ("setpriv", "--bounding-set=-linux_immutable", "--inh-caps=-linux_immutable")
NOBODY = 65534


def test_the_fault_is_real(place: Path) -> None:
    status = tool(*NO_IMMUTABLE, "grep", "CapEff", "/proc/self/status")
    assert not int(status.split()[1], 16) & (1 << 9), "CAP_LINUX_IMMUTABLE is still there"
    (place / "file").touch()
    assert subprocess.run([*NO_IMMUTABLE, "chattr", "+i", place / "file"], capture_output=True, check=False).returncode


def test_no_cap_linux_immutable(project: Path, vault: Path) -> None:
    arguments = {"project": str(project), "vault": str(vault)}
    message = engine("backup", wrapper=NO_IMMUTABLE, **arguments).error("SealError")
    assert "CAP_LINUX_IMMUTABLE" in message
    assert listed(vault) == []
    result = engine("backup", wrapper=NO_IMMUTABLE, seal="best_effort", **arguments).result()
    assert result["sealed"] is False
    assert any("CAP_LINUX_IMMUTABLE" in warning for warning in result["warnings"])
    check_backup(vault / result["id"])
    assert not is_sealed(vault / result["id"])
    verdict = engine("verify", wrapper=NO_IMMUTABLE, vault=str(vault), id_text="latest").result()
    assert verdict["ok"]
    assert not verdict["sealed"]
    later = engine("backup", **arguments).result()
    assert result["id"] in " ".join(later["recovered"])
    assert is_sealed(vault / result["id"])
    assert is_sealed(vault / later["id"])
    (project / "same.txt").write_text("newer\n")
    engine("restore", wrapper=NO_IMMUTABLE, id_text="latest", scenario="full", **arguments).result()
    assert (project / "same.txt").read_text().startswith("this is")


def test_not_root(project: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = place / "home"
    home.mkdir()
    for path in (home, project):
        tool("chown", "-R", f"{NOBODY}:{NOBODY}", path)
    for path in place, *place.parents:
        # what pytest made is for root alone
        if path.name.startswith("pytest-") or path == place:
            path.chmod(0o755)
    monkeypatch.setenv("CORA_TEST_UID", str(NOBODY))
    arguments = {"project": str(project), "vault": str(home / "vault")}
    message = engine("backup", **arguments).error("SealError")
    assert "root" in message
    result = engine("backup", seal="best_effort", **arguments).result()
    assert result["sealed"] is False
    assert not result["incomplete"]
    assert any("Not sealed" in warning for warning in result["warnings"])
    assert (home / "vault" / result["id"]).stat().st_uid == NOBODY
    check_backup(home / "vault" / result["id"])
    before = tree(project)
    (project / "same.txt").write_text("newer\n")
    engine("restore", id_text="latest", scenario="files", files=["same.txt"], **arguments).result()
    assert difference(before, tree(project)) == []
    (project / "same.txt").unlink()
    tool("chown", f"{NOBODY}:{NOBODY}", place)
    engine("restore", id_text="latest", scenario="full", **arguments).result()
    assert difference(before, tree(project)) == []
    assert all(os.lstat(path).st_uid == NOBODY for path in project.rglob("*"))
    engine("undo", vault=arguments["vault"]).result()
    assert not (project / "same.txt").exists()


def test_not_root_and_a_vault_of_root(project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's run neither reads nor writes root's vault, and says so."""
    engine("backup", project=str(project), vault=str(vault)).result()
    for path in vault.parents:
        if path.name.startswith("pytest-") or path == vault.parent:
            path.chmod(0o755)
    monkeypatch.setenv("CORA_TEST_UID", str(NOBODY))
    ended = engine("backup", project=str(project), vault=str(vault), seal="best_effort")
    assert "vault" in ended.error("VaultError")
    assert "vault" in engine("restore", id_text="latest", scenario="plan", vault=str(vault)).error("VaultError")
    assert engine("verify", id_text="latest", vault=str(vault)).error("VaultError")


def test_unreadable_files(project: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this user may not read is named; everything else is kept."""
    home = place / "home"
    home.mkdir()
    tool("chown", "-R", f"{NOBODY}:{NOBODY}", home, project)
    for path in place, *place.parents:
        if path.name.startswith("pytest-") or path == place:
            path.chmod(0o755)
    tool("chown", "root:root", project / "same.txt", project / "empty")
    (project / "same.txt").chmod(0o600)
    (project / "empty").chmod(0o700)
    monkeypatch.setenv("CORA_TEST_UID", str(NOBODY))
    result = engine("backup", project=str(project), vault=str(home / "vault"), seal="best_effort").result()
    assert result["incomplete"]
    warnings = " ".join(result["warnings"])
    assert "same.txt" in warnings
    assert "empty" in warnings
    check_backup(home / "vault" / result["id"])
