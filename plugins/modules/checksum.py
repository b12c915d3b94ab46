#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: checksum
short_description: Check that a backup is what it was when it was made
version_added: 1.0.0
description:
  - Compares every file of a backup with C(SHA256SUMS.txt), every entry of its archive with the index, runs
    C(PRAGMA integrity_check) on every database, and reads every immutable flag.
  - Fails when anything is damaged, and then names every damaged file and says what can still be restored.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.attributes.info_module
  - cora.backup.vault
  - cora.backup.vault.project
attributes:
  check_mode:
    details:
      - Changes no backup. The vault remembers when each backup was last checked, in check mode too.
options:
  id:
    description: V(latest), an id, or the beginning of exactly one.
    type: str
    default: latest
  quick:
    description: Compare C(SHA256SUMS.txt) only, and leave out the entries of the archive and the databases.
    type: bool
    default: false
  progress_file:
    description: Progress is appended to this file, one JSON object a line, for a program that shows it.
    type: path
seealso:
  - module: cora.backup.backup_info
  - module: cora.backup.restore
"""

EXAMPLES = r"""
- name: Check the newest backup, every byte of it
  cora.backup.checksum:

- name: Compare checksums of one backup
  cora.backup.checksum:
    id: 20261124-033000-4f6dfed
    quick: true
"""

RETURN = r"""
id:
  description: Name of the backup.
  returned: when there is such a backup
  type: str
path:
  description: Where it is.
  returned: when there is such a backup
  type: str
ok:
  description: Whether it is intact.
  returned: when there is such a backup
  type: bool
quick:
  description: Whether only C(SHA256SUMS.txt) was compared.
  returned: when there is such a backup
  type: bool
damaged:
  description: Everything that is damaged.
  returned: when there is such a backup
  type: list
  elements: dict
  contains:
    artifact:
      description: The file of the backup.
      type: str
    path:
      description: The project's file in it.
      type: str
    problem:
      description: What is wrong.
      type: str
restorable:
  description: What can still be restored, in a sentence.
  returned: when there is such a backup
  type: str
entries_checked:
  description: How many entries of the archive were read.
  returned: when there is such a backup
  type: int
bytes_checked:
  description: How many bytes were read.
  returned: when there is such a backup
  type: int
databases_checked:
  description: How many databases were checked.
  returned: when there is such a backup
  type: int
sealed:
  description: Whether all of it is immutable.
  returned: when there is such a backup
  type: bool
duration_seconds:
  description: How long it took.
  returned: when there is such a backup
  type: float
summary:
  description: The result in a person's words, a line each.
  returned: when there is such a backup
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.summary import verify_summary
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "default": "latest"},
            "quick": {"type": "bool", "default": False},
            "progress_file": {"type": "path"},
            **argspec.PROJECT_SPEC,
            **argspec.VAULT_SPEC,
        },
        supports_check_mode=True,
    )
    argspec.stop_on_signals()
    params = module.params
    try:
        result = verify_backup(
            argspec.vault_of(params),
            params["id"],
            project=argspec.project_of(params),
            quick=params["quick"],
            progress_file=params["progress_file"],
        )
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    summary = verify_summary(result)
    if not result["ok"]:
        argspec.fail(module, result, summary, "IntegrityError")
    argspec.finish(module, result, summary)


if __name__ == "__main__":
    main()
