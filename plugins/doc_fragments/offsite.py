# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that work on the copy elsewhere."""

    DOCUMENTATION = r"""
requirements:
  - boto3
options:
  env_file:
    description:
      - Path, on the managed host, of the file that holds the keys and the place. Left out, C(/etc/cora/backup.env).
      - One C(NAME=value) a line, for C(SPACES_ACCESS_KEY), C(SPACES_SECRET_KEY), C(SPACES_ENDPOINT), C(BACKUP_BUCKET),
        and where needed C(SPACES_REGION), C(SPACES_DELETE_ACCESS_KEY), C(SPACES_DELETE_SECRET_KEY).
      - It is refused where others can read it. Where it does not exist, environment variables of these names count.
    type: path
  prefix:
    description:
      - What all keys begin with. Hosts that share a bucket have one each. Left out, V(prod).
    type: str
  addressing:
    description:
      - V(path) for C(https://host/bucket), V(virtual) for C(https://bucket.host), V(auto) by the service.
      - Left out, V(auto).
    type: str
    choices:
      - auto
      - path
      - virtual
  bytes_per_second:
    description:
      - At most so fast, all connections together. Left out or V(0), as fast as it goes.
    type: int
  ca_bundle:
    description:
      - File of certificates to trust instead of those of the system.
    type: path
  encrypt_to:
    description:
      - Public keys of C(age). With any, nothing leaves the host unencrypted.
    type: list
    elements: str
  identity_file:
    description:
      - Path, on the managed host, of the secret key of C(age), to read what was encrypted.
    type: path
  proxy:
    description:
      - URL of a proxy. Left out, what the environment says.
    type: str
  storage_class:
    description:
      - Storage class of the objects. Left out, what the service takes.
    type: str
"""
