#!/bin/sh
# Gives the node a small ext4 of its own, at /srv and /var/backups. A container's overlay keeps inode flags beside the
# real inode, so immutability is only shown by a real file system; one that is a file inside the container goes with it.
set -eu
disk=/var/lib/cora-test.img

# Loop devices that the kernel makes after the container's start have no node in its /dev.
for number in $(seq 0 63); do
    [ -b "/dev/loop$number" ] || mknod "/dev/loop$number" b 7 "$number"
done

truncate --size 2G "$disk"
mkfs.ext4 -q -m 0 "$disk"
mount -o loop "$disk" /srv
mkdir -p /srv/backups /var/backups
mount --bind /srv/backups /var/backups
