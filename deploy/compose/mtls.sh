#!/bin/sh
# Makes an authority and a certificate for each service, for deploy/compose/mtls.yml; run again it renews the certificates,
# which running services take over. The authority's key stays beside them: keep the folder to yourself.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/compose/folders.sh
. "$here/folders.sh"
tls=$(folder SECRETS_DIR deploy/compose/secrets)/tls
days=${DAYS:-90}
umask 077
mkdir -p "$tls"
cd "$tls"
curve='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
if [ ! -s authority.key ]; then
    # shellcheck disable=SC2086  # a list of options
    openssl req -x509 $curve -days 3650 -subj "/CN=context services" -keyout authority.key -out ca.crt 2>/dev/null
    chmod 444 ca.crt
fi
for service in gateway knowledge embedding retrieval; do
    # shellcheck disable=SC2086
    openssl req $curve -subj "/CN=$service" -keyout new.key -out new.csr 2>/dev/null
    printf 'subjectAltName=DNS:%s\n' "$service" >new.ext
    openssl x509 -req -in new.csr -CA ca.crt -CAkey authority.key -CAcreateserial -days "$days" -extfile new.ext \
        -out new.crt 2>/dev/null
    # Written over, not replaced: a container sees the file that was there when it started.
    for part in crt key; do
        [ ! -f "$service.$part" ] || chmod 600 "$service.$part"
        cat "new.$part" >"$service.$part"
        chmod 444 "$service.$part"
    done
    rm new.key new.csr new.ext new.crt
done
echo "certificates for $days days are in $tls"
