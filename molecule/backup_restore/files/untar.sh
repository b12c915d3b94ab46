#!/bin/bash
# untar.sh ARCHIVE: unpacks it with tar alone into an empty directory, whose name it prints.
set -eu
tree=/srv/by-hand
rm -rf "$tree" && mkdir "$tree"
tar -xzf "$1" -C "$tree" --acls --xattrs --xattrs-include='user.*' --numeric-owner --same-permissions
# The archive may hold the project under its own name.
[ -e "$tree/app.py" ] || tree=$tree/project
echo "$tree"
