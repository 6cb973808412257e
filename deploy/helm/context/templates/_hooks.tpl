{{/*
Migrations run before anything of an install or upgrade, when nothing of the release is there yet: whatever they need is
itself a hook, and earlier. With a database of our own an install must make that first, so that then the Job is an
ordinary one, and the services wait for the schema.
*/}}
{{- define "context.migrateEarly" -}}
{{- if not (and .Values.database.cluster.enabled .Release.IsInstall) }}early{{ end }}
{{- end }}

{{/* Annotations of what runs or is needed early. Takes root, weight and policy. */}}
{{- define "context.hook" -}}
{{- if include "context.migrateEarly" .root }}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ default "before-hook-creation,hook-succeeded" .policy }}
{{- end }}
{{- end }}

{{- define "context.migrateAccount" -}}
{{- if and (include "context.migrateEarly" .) .Values.serviceAccount.create }}
{{- include "context.fullname" . }}-migrate
{{- else }}
{{- include "context.serviceAccount" . }}
{{- end }}
{{- end }}
