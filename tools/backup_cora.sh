#!/usr/bin/env bash
# `cora backup …` by its older name: bash tools/backup_cora.sh now
exec "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/cora.sh" backup "$@"
