{{/* The environment of containers. Everything secret comes from a Secret. */}}

{{/* A variable out of a Secret. Takes name, secret and key. */}}
{{- define "context.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret | quote }}
      key: {{ .key | quote }}
{{- end }}

{{/* A database address; the owner's comes from CloudNativePG where that made the owner. Takes root, name and which. */}}
{{- define "context.databaseVariable" -}}
{{- $database := .root.Values.database }}
{{- if and $database.cluster.enabled (eq .which "owner") }}
{{- include "context.secretVariable" (dict "name" .name "secret" (printf "%s-app" (include "context.clusterName" .root)) "key" "uri") }}
{{- else }}
{{- include "context.secretVariable" (dict "name" .name "secret" $database.secret.name "key" (index $database.secret.keys .which)) }}
{{- end }}
{{- end }}

{{/* What a service needs wherever it runs: as a server, in a migration, in a job. Takes root and component. */}}
{{- define "context.baseEnv" -}}
{{- $values := .root.Values }}
{{- $service := index (fromYaml (include "context.graph" .root)) .component }}
- name: APP_ENV
  value: prod
- name: LOG_LEVEL
  value: {{ $values.logLevel | quote }}
{{- $app := $values.app.secret }}
{{- if or (eq .component "gateway") (not $app.keys.serviceSecret) }}
{{ include "context.secretVariable" (dict "name" "SECRET_KEY_BASE" "secret" $app.name "key" $app.keys.secretKeyBase) }}
{{- end }}
{{- with $app.keys.serviceSecret }}
{{ include "context.secretVariable" (dict "name" "SERVICE_SECRET" "secret" $app.name "key" .) }}
{{- end }}
{{- if $service.database }}
{{ include "context.databaseVariable" (dict "root" .root "name" "DATABASE_URL" "which" .component) }}
{{- if $values.database.caSecret.name }}
- name: DATABASE_CA_CERT
  value: /etc/context/database/ca.crt
{{- end }}
{{- end }}
{{- end }}

{{/* What a service needs to serve. Takes root and component. */}}
{{- define "context.env" -}}
{{- $values := .root.Values }}
{{- $full := include "context.fullname" .root }}
{{- $bind := include "context.bind" .root }}
{{- $graph := fromYaml (include "context.graph" .root) }}
{{- $service := index $graph .component }}
{{- $own := index $values .component }}
{{ include "context.baseEnv" . }}
- name: DRAIN
  value: {{ $values.drainSeconds | int64 | quote }}
- name: METRICS_LISTEN
  value: {{ printf "%s:%s" $bind (include "context.metricsPort" .root) | quote }}
{{- if eq .component "gateway" }}
- name: HOST
  value: {{ $values.bindAddress | quote }}
- name: PORT
  value: {{ $service.port | quote }}
{{- with $values.publicUrl }}
- name: PUBLIC_URL
  value: {{ . | quote }}
- name: ALLOWED_HOSTS
  value: {{ include "context.allowedHosts" $ | quote }}
{{- end }}
{{- with $own.trustedProxies }}
- name: TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- else }}
- name: LISTEN
  value: {{ printf "%s:%v" $bind $service.port | quote }}
{{- end }}
{{- range $service.calls }}
- name: {{ upper . }}_ADDR
  value: {{ printf "dns:///%s-%s:%v" $full . (index $graph .).port | quote }}
{{- end }}
{{- if $service.database }}
- name: POOL_SIZE
  value: {{ $own.poolSize | int64 | quote }}
{{- with index $values.database.secret.keys (printf "%sReplicas" .component) }}
- name: REPLICA_POOL_SIZE
  value: {{ $own.replicaPoolSize | int64 | quote }}
{{- range $index, $key := . }}
{{ include "context.secretVariable" (dict "name" (printf "DATABASE_REPLICA_%d_URL" (add1 $index)) "secret" $values.database.secret.name "key" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $service.redis $values.redis.secret.name }}
{{ include "context.secretVariable" (dict "name" "REDIS_URL" "secret" $values.redis.secret.name "key" $values.redis.secret.key) }}
{{- end }}
{{- if eq .component "embedding" }}
{{ include "context.embedderEnv" .root }}
{{- end }}
{{- if $values.tls.enabled }}
- name: TLS_CERT_FILE
  value: /etc/context/tls/tls.crt
- name: TLS_KEY_FILE
  value: /etc/context/tls/tls.key
- name: TLS_CA_FILE
  value: /etc/context/tls/ca.crt
{{- end }}
{{ include "context.reportingEnv" .root }}
{{ include "context.settingsEnv" $own.settings }}
{{- end }}

{{/* The hosts of publicUrl and of the ingress, what values add, the Service's names inside, and localhost for kubectl port-forward. */}}
{{- define "context.allowedHosts" -}}
{{- $gateway := printf "%s-gateway" (include "context.fullname" .root) }}
{{- $namespace := .root.Release.Namespace }}
{{- $inside := list $gateway (printf "%s.%s" $gateway $namespace) (printf "%s.%s.svc" $gateway $namespace) (printf "%s.%s.svc.cluster.local" $gateway $namespace) "localhost" }}
{{- concat (list (include "context.publicHost" .root)) .root.Values.ingress.hosts .root.Values.gateway.allowedHosts $inside | uniq | join "," }}
{{- end }}

{{/* Where vectors come from, and how many threads the model may use: onnxruntime would count the node's cores. */}}
{{- define "context.embedderEnv" -}}
{{- $embedding := .Values.embedding }}
{{- with $embedding.external }}
{{- if .url }}
- name: EMBEDDING_SERVICE_URL
  value: {{ .url | quote }}
- name: EMBEDDING_MODEL
  value: {{ .model | quote }}
- name: EMBEDDING_DIMENSION
  value: {{ .dimension | int64 | quote }}
- name: EMBEDDING_MAX_TOKENS
  value: {{ .maxTokens | int64 | quote }}
{{- if .secret.name }}
{{ include "context.secretVariable" (dict "name" "EMBEDDING_API_KEY" "secret" .secret.name "key" .secret.key) }}
{{- end }}
{{- else }}
- name: EMBEDDING_THREADS
  valueFrom:
    resourceFieldRef:
      resource: {{ hasKey (default dict $embedding.resources.limits) "cpu" | ternary "limits.cpu" "requests.cpu" }}
      divisor: "1"
{{- end }}
{{- end }}
{{- end }}

{{/* Where traces and errors go. */}}
{{- define "context.reportingEnv" -}}
{{- with .Values.otlp }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
{{- if .secret.name }}
{{ include "context.secretVariable" (dict "name" "OTEL_EXPORTER_OTLP_HEADERS" "secret" .secret.name "key" .secret.key) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.sentry.secret }}
{{- if .name }}
{{ include "context.secretVariable" (dict "name" "SENTRY_DSN" "secret" .name "key" .key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Numbers as JSON writes them: templates would write a million as 1e+06. */}}
{{- define "context.settingsEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* What a job needs. Takes root and job. */}}
{{- define "context.jobEnv" -}}
{{- $backup := .root.Values.backup }}
{{- if eq .job.service "cli" }}
{{- if .root.Values.database.caSecret.name }}
- name: DATABASE_CA_CERT
  value: /etc/context/database/ca.crt
{{- end }}
{{- else }}
{{ include "context.baseEnv" (dict "root" .root "component" .job.service) }}
{{- end }}
{{- range $name, $which := .job.databaseUrls }}
{{ include "context.databaseVariable" (dict "root" $.root "name" $name "which" $which) }}
{{- end }}
{{- if .job.backupTarget }}
- name: BACKUP_TO
  value: {{ $backup.to | quote }}
- name: BACKUP_KEEP_DAYS
  value: {{ $backup.keepDays | int64 | quote }}
{{- with $backup.s3.endpoint }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- with $backup.s3.region }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- with $backup.s3.secret }}
{{- if .name }}
{{ include "context.secretVariable" (dict "name" "AWS_ACCESS_KEY_ID" "secret" .name "key" .keys.accessKeyId) }}
{{ include "context.secretVariable" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" .name "key" .keys.secretAccessKey) }}
{{- end }}
{{- end }}
{{- end }}
{{ include "context.settingsEnv" .job.settings }}
{{- end }}
