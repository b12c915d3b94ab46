# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting what has never run here: commands for real; pm2 and systemd are in Molecule's offsite_disaster."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import ServiceError
from ansible_collections.cora.backup.plugins.module_utils.first_start import start_services
from ansible_collections.cora.backup.plugins.module_utils.settings import Service
from support.modules import run_module


def command(*start: str) -> Service:
    return Service("command", stop=("true",), start=start)


def test_commands_run_the_last_one_first_and_then_the_health_is_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    services = [command("sh", "-c", f"echo {name} >> {log}") for name in ("web", "database")]
    result = start_services(
        str(tmp_path), services, health_command=("sh", "-c", f"echo health >> {log}"), health_timeout_seconds=5
    )
    assert log.read_text().split() == ["database", "web", "health"]
    assert result["changed"] is True


def test_every_one_is_tried_and_the_message_names_those_that_failed(tmp_path: Path) -> None:
    done = tmp_path / "done"
    services = [command("touch", str(done)), command("false")]
    with pytest.raises(ServiceError, match="Not everything could be started: command true: false ended with"):
        start_services(str(tmp_path), services)
    assert done.exists()


def test_a_project_that_is_not_healthy_fails(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="is not healthy"):
        start_services(str(tmp_path), [], health_command=("false",), health_timeout_seconds=0.1)


def test_check_mode_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touched = tmp_path / "touched"
    service = {"kind": "command", "stop": ["true"], "start": ["touch", str(touched)]}
    result = run_module(
        capsys, "service_start", check=True, project=tmp_path, services=[service], health_command=["false"]
    )
    assert result["changed"] is True
    assert not touched.exists()
