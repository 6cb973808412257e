{{/*
Whether the database has a connection for every pool. Most pods count, and one more of each service, since a rollout starts
a new pod before it ends an old one; a pod listens for notifications on one connection beside its pool.
*/}}
{{- define "context.checkPools" -}}
{{- $database := .Values.database }}
{{- $most := int $database.maxConnections }}
{{- if $database.cluster.enabled }}
{{- $most = int (default "100" (get $database.cluster.parameters "max_connections")) }}
{{- end }}
{{- if $most }}
{{- $sum := int $database.reservedConnections }}
{{- $replica := int $database.reservedConnections }}
{{- $parts := list }}
{{- range $component := list "knowledge" "retrieval" }}
{{- $values := index $.Values $component }}
{{- $pods := add1 (ternary $values.autoscaling.maxReplicas $values.replicas $values.autoscaling.enabled | int) }}
{{- $sum = add $sum (mul $pods (add1 (int $values.poolSize))) }}
{{- if index $database.secret.keys (printf "%sReplicas" $component) }}
{{- $replica = add $replica (mul $pods (int $values.replicaPoolSize)) }}
{{- end }}
{{- $parts = append $parts (printf "%s %d pods x (%v + 1)" $component $pods $values.poolSize) }}
{{- end }}
{{- if gt (int $sum) $most }}
{{- fail (printf "the pools may take %d connections (%s, reserved %v) and max_connections is %d: lower poolSize or the most pods, or raise max_connections" (int $sum) (join ", " $parts) $database.reservedConnections $most) }}
{{- end }}
{{- if gt (int $replica) $most }}
{{- fail (printf "the pools may take %d connections of each read replica and max_connections is %d: lower replicaPoolSize or the most pods, or raise max_connections" (int $replica) $most) }}
{{- end }}
{{- end }}
{{- end }}
