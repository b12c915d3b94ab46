#!/bin/bash
# Prints the ids of all checkpoints, the oldest first, as their paths say them.
set -eu -o pipefail
cd /srv/checkpoint_restore/vault/progress
find . -mindepth 4 -maxdepth 4 -type d | LC_ALL=C sort | sed 's|^./\(....\)/\(..\)/\(..\)/|\1\2\3-|'
