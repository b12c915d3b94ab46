# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies offsite in a process of its own, so that it can be killed: ``sync_process.py ENV_FILE VAULT '{options}'``.

Prints the result as one JSON document; 3 and the error as such a document where the engine refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "playbooks" / "collections"))

from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import read_offsite_settings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, sync


def main() -> int:
    """Run one sync."""
    env_file, vault, options = sys.argv[1:]
    try:
        result = sync(SyncRequest(vault=vault, settings=read_offsite_settings(env_file, **json.loads(options))))
    except CoraError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return 3
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
