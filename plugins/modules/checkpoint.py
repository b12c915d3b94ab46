#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: checkpoint
short_description: Save what changed in a project since its newest backup
version_added: 1.0.0
description:
  - Compares a project with its newest backup and the newest checkpoint over it, by metadata. Where something changed,
    it saves all that differs from the backup as a checkpoint, immutable as a backup is.
  - Where there is no backup to build on, or the last checkpoint held more than a quarter of it, it makes a backup.
  - Where nothing changed, it saves nothing.
  - A checkpoint is restored as a backup is, by M(cora.backup.restore), or by hand with C(tar) over its base.
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
      - Compares, says what would be made, and makes nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  when_unchanged:
    description:
      - What to do where nothing changed.
      - V(verify) reads the newest state whole; where that is damaged, everything is saved anew.
    type: str
    choices:
      - nothing
      - verify
    default: nothing
  prefer_full:
    description: Make a backup at once where much changed. Otherwise the run after such a checkpoint makes it.
    type: bool
    default: false
  keep_checkpoints_bytes:
    description: After it was made, the oldest checkpoints go while all of them take more than this. Left out, 20 GiB.
    type: int
  keep_checkpoints_percent:
    description: And while they take more than this part of the file system of the vault. Left out, 10.
    type: float
seealso:
  - module: cora.backup.snapshot
  - module: cora.backup.restore
  - module: cora.backup.prune
"""

EXAMPLES = r"""
- name: Save what changed
  cora.backup.checkpoint:
    project: /srv/app

- name: Do what is right, whatever happened since
  cora.backup.checkpoint:
    project: /srv/app
    when_unchanged: verify
    prefer_full: true
"""

RETURN = r"""
kind:
  description: V(checkpoint), V(full) for a backup, or null where nothing changed.
  returned: success
  type: str
id:
  description: Id of what was made; where nothing changed, of the newest state.
  returned: success, not in check mode
  type: str
  sample: 20261124-101500-4f6dfed
base:
  description: The backup that a checkpoint stands on.
  returned: when a checkpoint was made
  type: str
path:
  description: Where it is.
  returned: success, not in check mode
  type: str
  sample: /var/backups/cora/progress/2026/11/24/101500-4f6dfed
project:
  description: What was saved.
  returned: success
  type: str
vault:
  description: Where to.
  returned: success
  type: str
sealed:
  description: Whether it is immutable; every flag was read back.
  returned: success, not in check mode
  type: bool
files:
  description: How many files are in it.
  returned: when something was made
  type: int
deleted:
  description: How many entries of the base are gone.
  returned: when a checkpoint was made
  type: int
size_bytes:
  description: What its files measure.
  returned: when something was made
  type: int
archive_bytes:
  description: What its archive measures.
  returned: when something was made
  type: int
incomplete:
  description: Whether files could not be read or changed each time they were read; the warnings say which.
  returned: success, not in check mode
  type: bool
reused:
  description: What a backup took over from an earlier one, as M(cora.backup.snapshot) returns it.
  returned: when a backup was made
  type: dict
verification:
  description: What checking the newest state found, as M(cora.backup.checksum) returns it.
  returned: when nothing had changed and O(when_unchanged=verify)
  type: dict
paragraph:
  description: The result in one paragraph.
  returned: success
  type: str
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
from ansible_collections.cora.backup.plugins.module_utils.auto import save_or_verify
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.checkpoint_summary import saved_paragraph, saved_summary
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=argspec.checkpoint_spec(),
        required_one_of=[("project", "search_from")],
        mutually_exclusive=[("project", "search_from")],
        supports_check_mode=True,
    )
    if find_spec("pathspec") is None:
        module.fail_json(msg=missing_required_lib("pathspec"), error="ImportError")
    argspec.stop_on_signals()
    run = save_or_verify if module.params["when_unchanged"] == "verify" else save
    try:
        settings = argspec.snapshot_settings(module.params)
        result = run(settings, prefer_full=module.params["prefer_full"], check=module.check_mode)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    result["paragraph"] = saved_paragraph(result, check=module.check_mode)
    argspec.finish(module, result, saved_summary(result, check=module.check_mode))


if __name__ == "__main__":
    main()
