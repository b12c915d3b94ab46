#!/bin/bash
# same_tree.sh ORIGINAL OTHER [NAME...]: fails, and says where, unless both trees hold the same: content, kinds, modes, owners,
# link targets and counts, times to the nanosecond, ACLs, extended attributes. Entries NAME (relative paths) are left out.
set -eu -o pipefail
original=$1
other=$2
shift 2
prune=(-path ./.git)
skip=(-x .git)
for name in "$@"; do
    prune+=(-o -path "./$name")
    skip+=(-x "$(basename "$name")")
done

all() { find . \( "${prune[@]}" \) -prune -o "$@"; }

facts() {
    cd "$1"
    # A directory's size tells the file system's history.
    all -type d -printf '%p %y %m %U %G %T@\0' -o -printf '%p %y %m %U %G %n %s %T@ %l\0' | LC_ALL=C sort -z | tr '\0' '\n'
    all ! -type l -print0 | LC_ALL=C sort -z | xargs -0 getfacl --numeric --absolute-names
    all ! -type l -print0 | LC_ALL=C sort -z | xargs -0 getfattr --dump --no-dereference --match=- --
    # Which names are one file.
    all -type f -links +1 -printf '%p %i\n' | LC_ALL=C sort | awk '{ if (!($2 in first)) first[$2] = $1; print $1, "is", first[$2] }'
}

diff <(facts "$original") <(facts "$other")
# diff would wait at a pipe, or call two of them different; their facts have been compared.
while IFS= read -r -d '' pipe; do skip+=(-x "$(basename "$pipe")"); done < <(find "$original" -type p -print0)
diff -r --no-dereference "${skip[@]}" "$original" "$other"
