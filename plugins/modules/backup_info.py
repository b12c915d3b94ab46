#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: List the backups of a vault
version_added: 1.0.0
description:
  - One row a backup, newest first, from what each says of itself, from the flags on disk, and from what the vault
    remembers of checks.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.attributes.info_module
  - cora.backup.vault
options:
  id:
    description:
      - Only this backup; V(latest), an id, or the beginning of exactly one.
      - Fails when there is none.
    type: str
  project:
    description: Only backups of this project.
    type: path
seealso:
  - module: cora.backup.checksum
"""

EXAMPLES = r"""
- name: List all backups
  cora.backup.backup_info:
  register: vault

- name: Fail when the newest backup of a project is not sealed
  cora.backup.backup_info:
    id: latest
    project: /srv/app
  register: newest
  failed_when: newest is failed or not newest.backups[0].sealed
"""

RETURN = r"""
vault:
  description: The vault that was read.
  returned: success
  type: str
backups:
  description: A row a backup, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the backup.
      type: str
    created_at:
      description: When it was begun, UTC.
      type: str
      sample: "2026-11-24T03:30:00Z"
    kind:
      description: V(full) for a complete backup.
      type: str
    project:
      description: What was backed up.
      type: str
    files:
      description: How many files are in it.
      type: int
    size_bytes:
      description: What they measure.
      type: int
    archive_bytes:
      description: What the archive measures.
      type: int
    sealed:
      description: Whether it is immutable.
      type: bool
    verified_at:
      description: When it was last checked, UTC.
      type: str
    verified_ok:
      description: Whether it was intact then.
      type: bool
    warnings:
      description: How many warnings there were when it was made.
      type: int
    incomplete:
      description: Whether files could not be read when it was made.
      type: bool
    problem:
      description: Why its report cannot be read.
      type: str
    pinned:
      description: Whether C(cora pin) keeps it from being pruned.
      type: bool
    tags:
      description: What C(cora tag) named it.
      type: list
      elements: str
    path:
      description: Where it is.
      type: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec
from ansible_collections.cora.backup.plugins.module_utils.catalog import list_backups, resolve_id
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.summary import list_table


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={"id": {"type": "str"}, "project": {"type": "path"}, **argspec.VAULT_SPEC},
        supports_check_mode=True,
    )
    project, vault = module.params["project"], argspec.vault_of(module.params)
    try:
        rows = list_backups(vault)
        if module.params["id"]:
            wanted = resolve_id(vault, module.params["id"], project)
            rows = [row for row in rows if row["id"] == wanted]
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    if project:
        rows = [row for row in rows if row["project"] == project.rstrip("/")]
    argspec.finish(module, {"vault": vault, "backups": rows}, list_table(rows, vault))


if __name__ == "__main__":
    main()
