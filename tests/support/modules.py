# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module in this process, with Ansible's own argument handling."""

from __future__ import annotations

import importlib
import json
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import pytest
from ansible.module_utils import basic


def run_module(
    capsys: pytest.CaptureFixture[str], name: str, *, check: bool = False, diff: bool = False, **options: Any
) -> dict[str, Any]:
    """The JSON that the module printed."""
    module = importlib.import_module(f"ansible_collections.cora.backup.plugins.modules.{name}")
    arguments = {**_plain(options), "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
    capsys.readouterr()
    with _arguments(arguments), _on_a_node(), patch("signal.signal"), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, (bool, int, list, dict)) else str(value) for key, value in options.items()}


def _on_a_node() -> AbstractContextManager[Any]:
    """Ansible's own code believes to be the controller where a test before imported some of that."""
    try:
        from ansible.module_utils import _internal
    except ImportError:  # before ansible-core 2.19
        return nullcontext()
    return patch.object(_internal, "is_controller", False)


def _arguments(arguments: dict[str, Any]) -> AbstractContextManager[Any]:
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # before ansible-core 2.19
        return patch.object(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    context: AbstractContextManager[Any] = patch_module_args(arguments)
    return context
