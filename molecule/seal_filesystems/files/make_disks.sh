#!/bin/bash
# Mounts a small ext4, XFS and Btrfs, and a ramfs, which knows no inode flags, under /srv/seal/.
set -eu
for name in ext4 xfs btrfs ramfs; do
    ! mountpoint -q "/srv/seal/$name" || umount "/srv/seal/$name"
done
rm -rf /srv/seal
mkdir -p /srv/seal/project /srv/seal/{ext4,xfs,btrfs,ramfs}
for name in ext4 xfs btrfs; do
    truncate --size 320M "/srv/seal/$name.img"
    "mkfs.$name" -q "/srv/seal/$name.img" > /dev/null
    mount -o loop "/srv/seal/$name.img" "/srv/seal/$name"
done
mount -t ramfs ramfs /srv/seal/ramfs

cd /srv/seal/project
git init -q .
echo 'what was done' > AI_WORK_LOG.md
head -c 2000000 /dev/urandom > data.bin
sqlite3 app.db 'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)'
