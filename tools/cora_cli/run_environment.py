# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment variables that a run of Ansible gets."""

from __future__ import annotations

import locale
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from . import COLLECTIONS, IS_INSTALLED, ROOT

_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE)
_PATH_NAME = re.compile(r"_(FILE|PATH|DIR)$", re.IGNORECASE)
_THIS_MACHINE = """\
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""
#: Looked a thousand times a second whether a task is done, Ansible takes a tenth of a core from a long backup.
_CONFIG = "[defaults]\ninternal_poll_interval = 0.01\n"
_SECRET_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def inventory_of_run(directory: Path) -> Path:
    """The inventory of the checkout; an installed collection knows this machine only."""
    if not IS_INSTALLED:
        return ROOT / "inventory"
    path = directory / "inventory" / "hosts.yml"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(_THIS_MACHINE, encoding="utf-8")
    return path


def added_variables(directory: Path) -> dict[str, str]:
    """What a run needs besides what there is.

    :param directory: of the run
    """
    # the command runs in a Python environment of its own, which the person has not activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    variables = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path}
    if IS_INSTALLED:
        # one of its own: that of the person who happens to run it may say anything
        config = directory / "ansible.cfg"
        config.write_text(_CONFIG, encoding="utf-8")
        variables |= {"ANSIBLE_CONFIG": str(config), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    if not _is_utf8_locale():
        variables["LC_ALL"] = "C.UTF-8"  # Ansible refuses to start in another encoding; cron and small images have none
    return variables


def _is_utf8_locale() -> bool:
    try:
        name = locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return False
    return name.rpartition(".")[2].lower().replace("-", "") == "utf8"


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables without those that look like secrets: ansible-runner writes all of them into its artifacts."""
    return {name: value for name, value in variables.items() if not _is_secret(name, value)}


def _is_secret(name: str, value: str) -> bool:
    named = bool(_SECRET_NAME.search(name)) and not _PATH_NAME.search(name)
    return named or bool(_SECRET_URL.search(value))
