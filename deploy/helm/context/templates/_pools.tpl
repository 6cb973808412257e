{{/*
Whether the database has a connection for every pool. Most pods count, and one more of each service, since a rollout starts
a new pod before it ends an old one. Beside its pool a pod listens for notifications on one connection, and with replicas it
follows the primary on another, and each replica on one.
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
{{- $beside := 1 }}
{{- if index $database.secret.keys (printf "%sReplicas" $component) }}
{{- $beside = 2 }}
{{- $replica = add $replica (mul $pods (add1 (int $values.replicaPoolSize))) }}
{{- end }}
{{- $sum = add $sum (mul $pods (add $beside (int $values.poolSize))) }}
{{- $parts = append $parts (printf "%s %d pods x (%v + %d)" $component $pods $values.poolSize $beside) }}
{{- end }}
{{- if gt (int $sum) $most }}
{{- fail (printf "the pools may take %d connections (%s, reserved %v) and max_connections is %d: lower poolSize or the most pods, or raise max_connections" (int $sum) (join ", " $parts) $database.reservedConnections $most) }}
{{- end }}
{{- if gt (int $replica) $most }}
{{- fail (printf "the pools may take %d connections of each read replica and max_connections is %d: lower replicaPoolSize or the most pods, or raise max_connections" (int $replica) $most) }}
{{- end }}
{{- end }}
{{- end }}
