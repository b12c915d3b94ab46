#!/bin/bash
# attack.sh VAULT: tries, as root, to spoil the one backup in VAULT; fails when anything of it succeeds.
set -eu -o pipefail
vault=$1
backups=("$vault"/20??????-??????-*)
[ "${#backups[@]}" = 1 ]
backup=${backups[0]}
cd "$backup"

unsealed=$(find . -exec lsattr -d {} + | awk '$1 !~ /i/')
[ -z "$unsealed" ] || { echo "not sealed: $unsealed"; exit 1; }
lsattr -d "$vault" | cut -d' ' -f1 | grep -q a || { echo "$vault is not append-only"; exit 1; }

before=$(sha256sum SHA256SUMS.txt)
refuse() {
    if "$@" 2> /dev/null; then
        echo "this was possible: $*"
        exit 1
    fi
}
while IFS= read -r -d '' file; do
    refuse rm -f "$file"
    refuse mv "$file" "$file.gone"
    refuse truncate --size 0 "$file"
    refuse dd if=/dev/zero of="$file" count=1 conv=notrunc
    refuse cp /etc/hostname "$file"
    refuse ln "$file" "$vault/another-name"
    refuse chmod 0777 "$file"
done < <(find . -type f -print0)
refuse touch new
refuse mkdir critical/new
refuse rm -rf "$backup"
refuse mv "$backup" "$vault/gone"
[ "$(sha256sum SHA256SUMS.txt)" = "$before" ]
sha256sum --check --quiet --strict SHA256SUMS.txt
