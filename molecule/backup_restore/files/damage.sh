#!/bin/bash
# damage.sh VAULT: changes two bytes of the newest backup's archive, as only one who takes the seal off can.
set -eu
cd "$1"/20*-*
chattr -i cora-full.tar.gz
printf '\xaa\x55' | dd of=cora-full.tar.gz bs=1 seek=5000 conv=notrunc status=none
chattr +i cora-full.tar.gz
if sha256sum --check --status SHA256SUMS.txt; then
    echo "the archive is still whole"
    exit 1
fi
