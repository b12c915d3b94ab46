# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on the oldest Python that a managed host may have (tests/config.yml promises it)."""

from __future__ import annotations

import glob
import os
import subprocess
from pathlib import Path

import pytest

COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks/collections"
ENGINE = COLLECTIONS / "ansible_collections/cora/backup/plugins/module_utils"


def find_python39() -> str | None:
    """A Python 3.9 that starts: pyenv has a command of that name even where it is switched off."""
    for python in ["python3.9", *glob.glob(os.path.expanduser("~/.pyenv/versions/3.9.*/bin/python3.9"))]:
        try:
            subprocess.run([python, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    return None


def test_engine_can_be_imported_by_python_39() -> None:
    python = find_python39()
    if python is None:
        pytest.skip("no Python 3.9 on this machine")
    # wiring.py is for modules alone, and imports Ansible
    files = sorted(path.stem for path in ENGINE.glob("*.py") if path.stem != "wiring")
    names = [f"ansible_collections.cora.backup.plugins.module_utils.{stem}" for stem in files]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [python, "-B", "-c", code, *names],
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
