{{/* Names, labels and images. */}}

{{- define "context.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough that every suffix fits into a name; what is cut off lives on in a few letters of its digest. */}}
{{- define "context.fullname" -}}
{{- $name := include "context.name" . }}
{{- $full := .Values.fullnameOverride }}
{{- if not $full }}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- end }}
{{- if gt (len $full) 40 }}
{{- $full = printf "%s-%s" ($full | trunc 31 | trimSuffix "-") ($full | sha256sum | trunc 8) }}
{{- end }}
{{- $full }}
{{- end }}

{{/* What never changes, for selectors. Takes root and component. */}}
{{- define "context.selector" -}}
app.kubernetes.io/name: {{ include "context.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "context.labels" -}}
{{ include "context.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: context-engine
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes root and the values of one image. */}}
{{- define "context.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.image.registry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}
{{- end }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "context.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "context.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "context.clusterName" -}}
{{- default (printf "%s-db" (include "context.fullname" .)) .Values.database.cluster.name }}
{{- end }}

{{/* The host in publicUrl, without its port. */}}
{{- define "context.publicHost" -}}
{{- with .Values.publicUrl }}
{{- (urlParse .).hostname }}
{{- end }}
{{- end }}

{{/* bindAddress as it stands before a port. */}}
{{- define "context.bind" -}}
{{- if contains ":" .Values.bindAddress }}[{{ .Values.bindAddress }}]{{ else }}{{ .Values.bindAddress }}{{ end }}
{{- end }}

{{/* Whether a Secret made by cert-manager, or one of their own, holds the certificate of a service. */}}
{{- define "context.tlsSecret" -}}
{{- default (printf "%s-%s-tls" (include "context.fullname" .root) .component) .root.Values.tls.secretName }}
{{- end }}
