#!/bin/sh
# Makes what docker-compose.yml needs and the repository must not have; what is there already stays as it is.
#
#   prepare.sh [NAME]   NAME: under which people reach the installation, localhost if not given
#
#   secrets/   a file for each secret, under the folder that only you may open: the containers, which run as another
#              user, get single files out of it
#   ssl/       a certificate for NAME that nothing trusts, until you put a real one in its place
#   .env       NAME, for Compose, in the project's root; SECRETS_DIR, SSL_DIR and ACME_DIR in it are other folders
set -eu
name=${1:-localhost}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=deploy/compose/folders.sh
. "$here/folders.sh"
secrets=$(folder SECRETS_DIR deploy/compose/secrets)
ssl=$(folder SSL_DIR deploy/compose/ssl)
acme=$(folder ACME_DIR deploy/compose/acme)
umask 077
mkdir -p "$secrets" "$ssl"
chmod 700 "$secrets" "$ssl"

# keep FILE COMMAND…: what the command prints, where the file is not there yet. Nothing half-written is left.
keep() {
    file=$1
    shift
    [ -s "$file" ] || { "$@" >"$file.new" && chmod 444 "$file.new" && mv "$file.new" "$file"; }
}
random() { openssl rand -hex 32; }
# In the clear: nobody else is on the network between them.
login() { printf 'postgresql://%s:%s@db:5432/context_engineering?sslmode=disable' "$1" "$2"; }

keep "$secrets/db_password" random
keep "$secrets/owner_database_url" login postgres "$(cat "$secrets/db_password")"
# With the user and the password that stand in these, migrations make the logins of the services.
keep "$secrets/knowledge_database_url" login knowledge_login "$(random)"
keep "$secrets/retrieval_database_url" login retrieval_login "$(random)"
keep "$secrets/redis_password" random
keep "$secrets/redis_url" printf 'redis://:%s@redis:6379/0' "$(cat "$secrets/redis_password")"
keep "$secrets/service_secret" random
keep "$secrets/secret_key_base" random
keep "$secrets/grafana_password" random
# Of others, for alerts: write them in here.
keep "$secrets/smtp_password" echo unset
keep "$secrets/alert_webhook_token" echo unset

if [ ! -s "$ssl/privkey.pem" ]; then
    case $name in
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
    esac
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=$name" \
        -addext "subjectAltName=$kind:$name" -keyout "$ssl/privkey.pem" -out "$ssl/fullchain.pem" 2>/dev/null
    chmod 444 "$ssl/privkey.pem" "$ssl/fullchain.pem"
    echo "made a certificate for $name that nothing trusts; a real one goes to $ssl (deploy/compose/certificate.sh)"
fi
mkdir -p "$acme"
chmod 755 "$acme"
[ -f "$env" ] || printf 'DOMAIN=%s\n' "$name" >"$env"
echo "secrets are in $secrets"
