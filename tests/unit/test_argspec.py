# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's options to the engine's requests."""

from __future__ import annotations

import pytest
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_restore
from ansible_collections.cora.backup.plugins.module_utils.defaults import default_seal
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    IntegrityError,
    ProgramError,
    ServiceError,
    SettingsError,
)
from ansible_collections.cora.backup.plugins.module_utils.settings import DEFAULT_EXCLUDE, Service

SNAPSHOT = {name: option.get("default") for name, option in argspec.snapshot_spec().items()}


def test_what_is_left_out_is_the_default_of_the_engine() -> None:
    settings = argspec.snapshot_settings({**SNAPSHOT, "project": "/srv/app", "vault": "/vault"})
    assert settings.exclude == DEFAULT_EXCLUDE
    assert settings.seal == default_seal()
    assert settings.progress_file is None


def test_an_empty_list_is_not_left_out() -> None:
    settings = argspec.snapshot_settings({**SNAPSHOT, "project": "/srv/app", "vault": "/vault", "exclude": []})
    assert settings.exclude == ()


def test_a_relative_vault_is_refused() -> None:
    with pytest.raises(SettingsError, match="vault must be an absolute path"):
        argspec.snapshot_settings({**SNAPSHOT, "project": "/srv/app", "vault": "vault"})


def test_services() -> None:
    described = {"kind": "command", "name": None, "user": None, "stop": ["app", "stop"], "start": ["app", "start"]}
    assert argspec_restore.services_of({"services": [described]}) == (
        Service("command", stop=("app", "stop"), start=("app", "start")),
    )


def test_a_failed_program_says_what_was_run() -> None:
    error = ProgramError("git failed", argv=["git", "caf\udce9"], returncode=128, stderr="fatal: \udce9")
    assert argspec.failure(error) == {
        "msg": "git failed",
        "error": "ProgramError",
        "cmd": ["git", "caf\\xe9"],
        "rc": 128,
        "stderr": "fatal: \\udce9",
    }


def test_a_failed_restore_says_whether_it_was_taken_back() -> None:
    error = ServiceError("no")
    assert argspec.failure(error)["rolled_back"] is False
    assert "rolled_back" not in argspec.failure(IntegrityError("no"))
