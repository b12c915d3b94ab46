# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a host on which cora is installed: C(/etc/cora/settings.yml), and C(/etc/cora/backup.env) beside it.

The first is written by C(cora install), the second belongs to the person and wins. The installed command names the
first in C(CORA_SETTINGS); a checkout has an inventory, and does not look there.
"""

from __future__ import annotations

import os
import re
from typing import Any

from .errors import UsageError
from .settings_file import load_settings

VARIABLE = "CORA_SETTINGS"
#: What may stand in backup.env; the rest of the settings are not plain text.
_TEXTS = {"CORA_PROJECT": "cora_project", "CORA_VAULT": "cora_vault", "CORA_SEAL": "cora_seal"}
_LINE = re.compile(r"\s*(?:export\s+)?(CORA_[A-Z_]+)=(.*)")


def installed_settings() -> str | None:
    """The file with the settings of this host; None in a checkout."""
    return os.environ.get(VARIABLE) or None


def read_installed(path: str) -> list[tuple[str, dict[str, Any]]]:
    """Each file with what it sets; later ones win.

    :raises UsageError: when a file that should be there cannot be read
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise UsageError(f"The settings of this host, {path}, cannot be read: {error.strerror}.") from error
    own = os.path.join(os.path.dirname(path), "backup.env")
    return [(path, load_settings(content, path)), (own, _read_env(own))]


def _read_env(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except (FileNotFoundError, PermissionError):
        return {}  # it may hold secrets, so that only root can read it
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {
        _TEXTS[line[1]]: _unquoted(line[2].strip()) for line in found if line and line[1] in _TEXTS and line[2].strip()
    }


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
