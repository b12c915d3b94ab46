#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot
short_description: Make one complete, immutable backup of a project directory
version_added: 1.0.0
description:
  - Archives a project directory, copies its SQLite databases consistently while they are in use, keeps its critical
    files plain a second time, and makes the whole backup immutable.
  - Every backup is complete and independent. It can be restored with nothing but C(tar), C(sha256sum) and C(cp).
  - A run that is killed leaves either nothing that is listed or a backup that verifies. The next run puts away what
    was left.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.content
  - cora.backup.vault
  - cora.backup.vault.run
attributes:
  check_mode:
    support: full
    details:
      - Says whether the project and the vault could be used and makes no backup.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run makes a new backup.
seealso:
  - module: cora.backup.checksum
  - module: cora.backup.restore
"""

EXAMPLES = r"""
- name: Back up a project
  cora.backup.snapshot:
    project: /srv/app

- name: Back up to another disk, without build results
  cora.backup.snapshot:
    project: /srv/app
    vault: /mnt/disk/cora
    exclude:
      - node_modules/
      - .venv/
      - /dist/

- name: Back up a project and read every file for it
  cora.backup.snapshot:
    project: /srv/app
    paranoid: true
"""

RETURN = r"""
id:
  description: Name of the backup.
  returned: success, not in check mode
  type: str
  sample: 20261124-033000-4f6dfed
path:
  description: Where the backup is.
  returned: success, not in check mode
  type: str
  sample: /var/backups/cora/20261124-033000-4f6dfed
project:
  description: What was backed up.
  returned: success
  type: str
vault:
  description: Where to.
  returned: success
  type: str
sealed:
  description: Whether the backup is immutable; every flag was read back.
  returned: success, not in check mode
  type: bool
seal_note:
  description: Why it is not immutable; empty when it is.
  returned: success, not in check mode
  type: str
files:
  description: How many files are in the backup.
  returned: success, not in check mode
  type: int
size_bytes:
  description: What they measure.
  returned: success, not in check mode
  type: int
archive_bytes:
  description: What the archive measures.
  returned: success, not in check mode
  type: int
databases:
  description: How many of the files are SQLite databases, copied consistently.
  returned: success, not in check mode
  type: int
critical:
  description: How many files are also kept uncompressed.
  returned: success, not in check mode
  type: int
excluded:
  description: How many files and directories were left out by patterns.
  returned: success, not in check mode
  type: int
incomplete:
  description: Whether files could not be read or changed each time they were read; the warnings say which.
  returned: success, not in check mode
  type: bool
reused:
  description:
    - What was taken over from an earlier backup instead of being read, hashed and compressed again.
  returned: success, not in check mode
  type: dict
  contains:
    backup:
      description: Name of that backup; none where none could be used, or O(paranoid) was set.
      type: str
    frames:
      description: How many pieces of its archive.
      type: int
    entries:
      description: How many files and directories were in them.
      type: int
    archive_bytes:
      description: What the pieces measure.
      type: int
    damaged:
      description: How many pieces were damaged there; what they held was read from the project again.
      type: int
recovered:
  description: What an earlier, interrupted run had left and this one put right.
  returned: success, not in check mode
  type: list
  elements: str
duration_seconds:
  description: How long it took.
  returned: success, not in check mode
  type: float
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from importlib.util import find_spec

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.summary import backup_summary


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=argspec.snapshot_spec(),
        required_one_of=[("project", "search_from")],
        mutually_exclusive=[("project", "search_from")],
        supports_check_mode=True,
    )
    if find_spec("pathspec") is None:
        module.fail_json(msg=missing_required_lib("pathspec"), error="ImportError")
    argspec.stop_on_signals()
    try:
        result = create_backup(argspec.snapshot_settings(module.params), check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    argspec.finish(module, result, backup_summary(result, check=module.check_mode))


if __name__ == "__main__":
    main()
