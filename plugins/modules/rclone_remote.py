#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rclone_remote
short_description: Keep a remote in rclone's configuration
version_added: 1.0.0
description:
  - Writes a remote for the object store into C(rclone.conf), mode 0600, with the keys of the environment file. The keys
    are read and written on the managed host; they are in no argument and no result.
  - rclone reads the file back before it takes the place of the old one. Other remotes in it stay as they are.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - It would show the keys.
  idempotent:
    support: full
options:
  path:
    description: rclone's configuration file.
    type: path
    required: true
  name:
    description: Name of the remote.
    type: str
    default: spaces
  env_file:
    description:
      - Absolute path of the file with C(SPACES_ACCESS_KEY), C(SPACES_SECRET_KEY), C(SPACES_ENDPOINT), C(BACKUP_BUCKET)
        and, optionally, C(SPACES_REGION), one C(NAME=value) a line, which only its owner can read.
    type: path
    default: /etc/cora/backup.env
  addressing:
    description: Whether a bucket is a part of the path or of the host name.
    type: str
    default: auto
    choices:
      - auto
      - path
      - virtual
  state:
    description: V(absent) removes the remote, if this module wrote it.
    type: str
    default: present
    choices:
      - present
      - absent
"""

EXAMPLES = r"""
- name: Let rclone reach the backups
  cora.backup.rclone_remote:
    path: /root/.config/rclone/rclone.conf
"""

RETURN = r"""
bucket:
  description: The remote and the bucket, as rclone takes them.
  returned: when O(state=present)
  type: str
  sample: spaces:cora-backups
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import (
    ADDRESSING,
    DEFAULT_ENV_FILE,
    read_offsite_settings,
)
from ansible_collections.cora.backup.plugins.module_utils.rclone_config import write_remote
from ansible_collections.cora.backup.plugins.module_utils.wiring import run


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str", "default": "spaces"},
            "env_file": {"type": "path", "default": DEFAULT_ENV_FILE},
            "addressing": {"type": "str", "default": "auto", "choices": list(ADDRESSING)},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        },
        supports_check_mode=True,
    )
    name, path = module.params["name"], module.params["path"]
    is_there = "is" if module.params["state"] == "present" else "is not"
    run(
        module,
        lambda: _write(module.params, check=module.check_mode),
        lambda _result: [f"rclone: the remote {name} {is_there} in {path}."],
    )


def _write(params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    settings = None
    if params["state"] == "present":
        settings = read_offsite_settings(params["env_file"], addressing=params["addressing"])
    result = write_remote(params["path"], params["name"], settings, check=check)
    return {**result, "bucket": f"{params['name']}:{settings.bucket}"} if settings else result


if __name__ == "__main__":
    main()
