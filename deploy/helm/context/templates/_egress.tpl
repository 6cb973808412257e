{{/* One rule of egress to what values name. Takes `to` and `ports`; DNS needs UDP as well. */}}
{{- define "context.egress" -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
    {{- if has (int .) (list 53 5353) }}
    - port: {{ . }}
      protocol: UDP
    {{- end }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* To the database; one of our own is known by its label. */}}
{{- define "context.databaseEgress" -}}
{{- if .Values.database.cluster.enabled }}
- ports:
    - port: 5432
  to:
    - podSelector:
        matchLabels:
          cnpg.io/cluster: {{ include "context.clusterName" . }}
{{- else }}
{{- include "context.egress" .Values.networkPolicy.database }}
{{- end }}
{{- end }}
