{{/* What every pod of ours has, whatever it does. */}}

{{/* Restricted pod security. Takes root. */}}
{{- define "context.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "context.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The head of a pod's spec; nobody here talks to Kubernetes. Takes root and, for hooks, another account. */}}
{{- define "context.podHead" -}}
serviceAccountName: {{ default (include "context.serviceAccount" .root) .account }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "context.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* How a pod of a service is asked. With TLS inside the kubelet, which has no certificate, asks through a command. */}}
{{- define "context.probe" -}}
{{- if eq .component "gateway" }}
httpGet:
  path: {{ .ready | ternary "/readyz" "/livez" }}
  port: http
{{- else if .root.Values.tls.enabled }}
exec:
  command: [python, -m, context_common.probe{{ if .ready }}, --service, {{ .service.health }}{{ end }}]
{{- else }}
grpc:
  port: {{ .service.port }}
  {{- if .ready }}
  service: {{ .service.health }}
  {{- end }}
{{- end }}
timeoutSeconds: {{ .root.Values.tls.enabled | ternary 5 3 }}
{{- end }}

{{/* Files that a container needs beside the image's, and where they come from. */}}

{{- define "context.databaseMount" -}}
{{- if .Values.database.caSecret.name }}
- name: database-ca
  mountPath: /etc/context/database
  readOnly: true
{{- end }}
{{- end }}

{{- define "context.databaseVolume" -}}
{{- with .Values.database.caSecret }}
{{- if .name }}
- name: database-ca
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - {key: {{ .key | quote }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{- define "context.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .root.Values.tls.enabled }}
- name: tls
  mountPath: /etc/context/tls
  readOnly: true
{{- end }}
{{- if .service.database }}
{{ include "context.databaseMount" .root }}
{{- end }}
{{- if and (eq .component "gateway") (include "context.skillsName" .root) }}
- name: skills
  mountPath: /app/skills
  readOnly: true
{{- end }}
{{- end }}

{{- define "context.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "context.tlsSecret" . }}
    defaultMode: 0440
{{- end }}
{{- if .service.database }}
{{ include "context.databaseVolume" .root }}
{{- end }}
{{- if and (eq .component "gateway") (include "context.skillsName" .root) }}
- name: skills
  configMap:
    name: {{ include "context.skillsName" .root }}
    {{- with include "context.skillsItems" .root }}
    items:
      {{- trim . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* The ConfigMap with skills; empty: there is none, and those in the image count. */}}
{{- define "context.skillsName" -}}
{{- if .Values.skills.configMap }}
{{- .Values.skills.configMap }}
{{- else if .Values.skills.files }}
{{- printf "%s-skills" (include "context.fullname" .) }}
{{- end }}
{{- end }}

{{/* Which key of it stands where: a skill is a directory, and a key has no slash. */}}
{{- define "context.skillsItems" -}}
{{- if .Values.skills.configMap }}
{{- range $key, $path := .Values.skills.paths }}
- {key: {{ $key | quote }}, path: {{ $path | quote }}}
{{- end }}
{{- else }}
{{- range $path, $_ := .Values.skills.files }}
- {key: {{ include "context.skillsKey" $path | quote }}, path: {{ $path | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* A path as a key, which must not have a slash. */}}
{{- define "context.skillsKey" -}}
{{- replace "/" "__" . }}
{{- end }}
