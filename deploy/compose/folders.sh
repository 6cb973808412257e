# Where Compose finds the folders; for the scripts beside this, which have set $here.
# shellcheck shell=sh disable=SC2154  # who reads this in has set $here
#
# As Compose does it: the shell's environment counts before the project's .env, and a relative path begins at the
# project's root. A script that looked elsewhere would write what no container ever sees.
root=$(CDPATH='' cd -- "$here/../.." && pwd)
env=${ENV_FILE:-$root/.env}

# folder NAME DEFAULT: the path that NAME gives.
folder() {
    eval "path=\${$1:-}"
    if [ -z "$path" ] && [ -f "$env" ]; then
        path=$(sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" "$env" | tail -n 1 |
            sed -e "s/^'\([^']*\)'.*/\1/" -e t -e 's/^"\([^"]*\)".*/\1/' -e t -e 's/[[:space:]]\{1,\}#.*//' -e 's/[[:space:]]*$//')
        case $path in *\$*) echo "$env: $1 must be a plain path here, not $path" >&2 && return 1 ;; esac
    fi
    case ${path:=$2} in
    /*) echo "$path" ;;
    "~"/*) echo "$HOME/${path#"~/"}" ;;
    *) echo "$root/${path#./}" ;;
    esac
}
