#!/bin/sh
# Puts a certificate and its key before the running nginx, without a pause: certificate.sh FULLCHAIN PRIVKEY
#
# What an ACME client runs after a renewal. The files are written over, not replaced, because a container sees the file
# that was there when it started. A pair that does not fit is refused before anything is touched.
set -eu
[ $# = 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/compose/folders.sh
. "$here/folders.sh"
ssl=$(folder SSL_DIR deploy/compose/ssl)
of_certificate=$(openssl x509 -in "$1" -noout -pubkey)
of_key=$(openssl pkey -in "$2" -pubout)
[ "$of_certificate" = "$of_key" ] || { echo "the key is not the certificate's" >&2; exit 1; }
openssl x509 -in "$1" -noout -checkend 0 >/dev/null || { echo "the certificate has expired" >&2; exit 1; }
chmod 644 "$ssl/fullchain.pem" "$ssl/privkey.pem"
cat "$1" >"$ssl/fullchain.pem"
cat "$2" >"$ssl/privkey.pem"
chmod 444 "$ssl/fullchain.pem" "$ssl/privkey.pem"
cd "$root"
docker compose -f docker-compose.yml -f docker-compose.prod.yml exec nginx nginx -s reload
