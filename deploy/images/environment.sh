#!/bin/sh
# What the build stages of all images share: each command leaves a tree under /image that becomes one layer, copied to /.
#
#   environment.sh dependencies LOCK…   /image/dependencies: an environment with what the locks say, by hash, and no more
#   environment.sh packages DIR…        /image/packages: our packages into that environment, and whatever lies there
#   environment.sh user                 /image/packages: a list of users that has ours, for programs that ask for a name
#   environment.sh model                /image/model: as it lies there
#
# A release of ours changes the small layer only. The same inputs make the same bytes: every file and folder has the time
# SOURCE_DATE_EPOCH, and bytecode carries the hash of its source, not a time.
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

# $1: what to compile, made for /app/venv; $2: the tree that it becomes a part of.
finish() {
    /app/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -s "$1" -p /app/venv "$1"
    mkdir -p "$2/app"
    mv "$1" "$2/app/venv"
    clamp "$2"
}

clamp() {
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
    finish /app/venv /image/dependencies
    ln -s /image/dependencies/app/venv /app/venv
    ;;
packages)
    python -m venv --without-pip /build/venv
    pip_of /build/venv install --require-hashes --only-binary :all: --requirement "$here/build.lock"
    pip_of /build/venv wheel --no-index --no-build-isolation --wheel-dir /build/wheels "$@"
    pip_of /app/venv install --no-index --prefix /app/own /build/wheels/*.whl
    finish /app/own /image/packages
    ;;
user)
    mkdir -p /image/packages/etc
    { cat /etc/passwd && echo 'context:x:10001:10001::/tmp:/usr/sbin/nologin'; } > /image/packages/etc/passwd
    ;;
model)
    clamp /image/model
    ;;
*)
    echo "usage: environment.sh dependencies LOCK… | packages DIR… | user | model" >&2
    exit 2
    ;;
esac
