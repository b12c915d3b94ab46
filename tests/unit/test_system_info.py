# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""system_info: compared with what the system's own tools say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import programs
from ansible_collections.cora.backup.plugins.module_utils.system_info import Sections, collect


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def collected(tmp_path: Path) -> Sections:
    return collect(project=str(tmp_path), vault=str(tmp_path / "not" / "there" / "yet"), collection_version="1.2.3")


def only(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Let nothing be installed but what is in C(directory) and a shell."""
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(directory))
    monkeypatch.setenv("PATH", str(directory))


def test_it_says_what_the_tools_say(tmp_path: Path) -> None:
    found = collected(tmp_path)
    assert list(found) == ["cora.backup", "host", "programs", "disk"]
    assert found["cora.backup"]["version"] == "1.2.3"
    assert found["host"]["hostname"] == said("uname", "-n")
    assert found["host"]["kernel"] == said("uname", "-srm")
    assert f"git version {found['programs']['git']}" == said("git", "--version")
    assert found["disk"]["project"].endswith(said("findmnt", "-no", "FSTYPE", "--target", str(tmp_path)))
    size = said("df", "-B1", "--output=size", str(tmp_path)).split()[-1]
    assert f" of {size} bytes available" in found["disk"]["project"]
    assert f" of {size} bytes available" in found["disk"]["vault"]
    json.dumps(found)
    values = [value for section in found.values() for value in section.values()]
    assert all(value and value.isprintable() for value in values)


def test_programs_that_are_absent_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, tmp_path)
    assert set(collected(tmp_path)["programs"]) == {"python", "sqlite"}


def test_pm2_is_never_started_and_a_slow_node_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lib" / "node_modules" / "pm2"
    (package / "bin").mkdir(parents=True)
    (package / "package.json").write_text('{"name": "pm2", "version": "6.0.14"}')
    (package / "bin" / "pm2").write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    (package / "bin" / "pm2").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pm2").symlink_to(package / "bin" / "pm2")
    # It would answer, but only after a long time.
    (tmp_path / "bin" / "node").write_text("#!/bin/sh\nPATH=/bin:/usr/bin\nsleep 300\necho v1\n")
    (tmp_path / "bin" / "node").chmod(0o755)
    only(monkeypatch, tmp_path / "bin")
    found = collected(tmp_path)["programs"]
    assert found["pm2"] == "6.0.14"
    assert found["node"] == "present, version unknown"
    assert not (tmp_path / "started").exists()
    (package / "package.json").write_text("[]")
    assert collected(tmp_path)["programs"]["pm2"] == "present, version unknown"
