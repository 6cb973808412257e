#!/bin/sh
# What context-wal does, for a Postgres without Python, such as that of a stock image; the archive is a directory.
#   archive_command = 'sh /path/to/wal.sh archive "%p" "%f"'
#   restore_command = 'sh /path/to/wal.sh fetch "%f" "%p"'
# BACKUP_TO must be in the server's environment, and exist: a directory made here may be under an unmounted volume.
set -eu
umask 027
folder="${BACKUP_TO:?}/wal"

archive() { # PATH NAME
    [ -d "$BACKUP_TO" ] || { echo "$BACKUP_TO is no directory; is its volume mounted?" >&2; return 1; }
    mkdir -p "$folder"
    partial="$folder/.partial-$2-$$"
    trap 'rm -f "$partial"' EXIT
    gzip -1nc <"$1" >"$partial"
    sync "$partial"
    # A link fails where a copy would overwrite. The same segment again, after a crash, is no failure; another one is.
    if ! ln "$partial" "$folder/$2.gz" 2>/dev/null; then
        gzip -dc <"$folder/$2.gz" | cmp -s - "$1" || { echo "another $2 is in $folder" >&2; return 1; }
    fi
    sync "$folder"
}

fetch() { # NAME PATH; 1 ends a recovery, 200 aborts it
    [ -d "$folder" ] || { echo "$folder is no directory; is its volume mounted?" >&2; return 200; }
    [ -f "$folder/$1.gz" ] || return 1
    gzip -dc <"$folder/$1.gz" >"$2" || return 200
}

case "$#:$1" in
3:archive) archive "$2" "$3" ;;
3:fetch) fetch "$2" "$3" ;;
*) echo "usage: wal.sh archive PATH NAME | fetch NAME PATH" >&2; exit 200 ;;
esac
