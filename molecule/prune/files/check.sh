#!/bin/bash
# check.sh VAULT: every backup and checkpoint in it is whole and sealed, and nothing can be taken out of the vault.
set -eu -o pipefail
shopt -s nullglob
cd "$1"
for path in 20*-* progress/????/??/??/*; do
    (cd "$path" && sha256sum --check --quiet --strict SHA256SUMS.txt)
    for archive in "$path"/*.tar.gz; do tar -tzf "$archive" > /dev/null; done
    unsealed=$(find "$path" -exec lsattr -d {} + | awk '$1 !~ /i/')
    [ -z "$unsealed" ] || { echo "not sealed: $unsealed"; exit 1; }
    if rm -rf "$path" 2> /dev/null || [ ! -e "$path/SHA256SUMS.txt" ]; then echo "rm took $path"; exit 1; fi
done
lsattr -d . .cora/prune.log | awk '$1 !~ /a/ { print "not append-only: " $2; bad = 1 } END { exit bad }'
if mv 20240320-120000-nogit gone 2> /dev/null; then echo "mv took it"; exit 1; fi
[ -z "$(ls -A .cora/staging)" ]
