{{/* What may not be said where anything may be said: settings that are the chart's or secret, labels that selectors use. */}}

{{/* Settings with the value that they come from. */}}
{{- define "context.ownSettings" -}}
APP_ENV: prod always
LOG_LEVEL: logLevel
DRAIN: drainSeconds
LISTEN: bindAddress
HOST: bindAddress
METRICS_LISTEN: bindAddress
PORT: gateway.service.port
PUBLIC_URL: publicUrl
ALLOWED_HOSTS: gateway.allowedHosts
TRUSTED_PROXIES: gateway.trustedProxies
KNOWLEDGE_ADDR: the call graph
EMBEDDING_ADDR: the call graph
RETRIEVAL_ADDR: the call graph
POOL_SIZE: poolSize
REPLICA_POOL_SIZE: replicaPoolSize
EMBEDDING_THREADS: embedding.resources
EMBEDDING_SERVICE_URL: embedding.external.url
EMBEDDING_MODEL: embedding.external.model
EMBEDDING_DIMENSION: embedding.external.dimension
EMBEDDING_MAX_TOKENS: embedding.external.maxTokens
TLS_CERT_FILE: tls
TLS_KEY_FILE: tls
TLS_CA_FILE: tls
DATABASE_CA_CERT: database.caSecret
OTEL_EXPORTER_OTLP_ENDPOINT: otlp.endpoint
BACKUP_TO: backup.to
BACKUP_KEEP_DAYS: backup.keepDays
AWS_ENDPOINT_URL_S3: backup.s3.endpoint
AWS_REGION: backup.s3.region
{{- end }}

{{/* Takes the path of the settings and the settings. */}}
{{- define "context.checkSettings" -}}
{{- $own := fromYaml (include "context.ownSettings" .) }}
{{- range $name, $_ := .settings }}
{{- with get $own $name }}
{{- fail (printf "%s.%s: the chart sets it, by %s" $.path $name .) }}
{{- end }}
{{- if regexMatch "(_FILE|DATABASE_URL|DATABASE_REPLICA_[0-9]+_URL|SECRET_KEY_BASE|REDIS_URL|SENTRY_DSN|_HEADERS|_KEY|_KEY_ID|SECRET|PASSWORD|TOKEN)$" $name }}
{{- fail (printf "%s.%s: it is a secret, and would stand in the release for everybody to read; values have a place for the Secret that holds it" $.path $name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes the path of the labels, the labels, and those that stand beside them. */}}
{{- define "context.checkLabels" -}}
{{- range $name, $_ := .labels }}
{{- if regexMatch "^(app[.]kubernetes[.]io|helm[.]sh|context-engine)/" $name }}
{{- fail (printf "%s: %s is the chart's, and selectors may use it" $.path $name) }}
{{- end }}
{{- if hasKey (default dict $.beside) $name }}
{{- fail (printf "%s: %s stands in commonLabels too, and no object may have a label twice" $.path $name) }}
{{- end }}
{{- end }}
{{- end }}
