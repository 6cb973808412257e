#!/bin/sh
# What the build stages of all images share.
#
#   environment.sh dependencies LOCK…   an environment in /app/venv with what the locks say, by hash, and nothing else
#   environment.sh packages DIR…        our packages in /app/own, laid out so that it can be copied over /app/venv
#
# They are two directories because they become two layers: a release of ours changes the small one only.
# Same inputs make the same bytes: every file has the time SOURCE_DATE_EPOCH, and bytecode carries a hash, not a time.
set -eu
: "${SOURCE_DATE_EPOCH:?}"
export SOURCE_DATE_EPOCH PYTHONHASHSEED=0 PIP_NO_COMPILE=1 PIP_NO_DEPS=1 PIP_NO_WARN_SCRIPT_LOCATION=0 PIP_QUIET=1
here=$(dirname "$0")

# Runtime stages run the same base image, so that the links to its interpreter hold there too.
pip_of() {
    interpreter="$1/bin/python"
    shift
    python -m pip --python "$interpreter" "$@"
}

finish() {
    /app/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash "$1"
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

what=$1
shift
case $what in
dependencies)
    python -m venv --without-pip /app/venv
    for lock in "$@"; do
        pip_of /app/venv install --require-hashes --only-binary :all: --requirement "$lock"
    done
    finish /app/venv
    ;;
packages)
    python -m venv --without-pip /build/venv
    pip_of /build/venv install --require-hashes --only-binary :all: --requirement "$here/build.lock"
    pip_of /build/venv wheel --no-index --no-build-isolation --wheel-dir /build/wheels "$@"
    pip_of /app/venv install --no-index --prefix /app/own /build/wheels/*.whl
    finish /app/own
    ;;
*)
    echo "usage: environment.sh dependencies LOCK… | packages DIR…" >&2
    exit 2
    ;;
esac
