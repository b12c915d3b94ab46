#!/bin/bash
# list.sh VAULT: the ids of all backups and checkpoints in it, sorted, by looking at directories.
set -eu
shopt -s nullglob
cd "$1"
{
    for path in 20*-*; do echo "$path"; done
    for path in progress/????/??/??/*; do
        path=${path#progress/}
        echo "${path:0:4}${path:5:2}${path:8:2}-${path:11}"
    done
} | LC_ALL=C sort
