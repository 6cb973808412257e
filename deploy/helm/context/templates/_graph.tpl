{{/*
Who calls whom, on which port, and what else each service needs. Deployments take their environment and their probes from
this table, Services their ports, and NetworkPolicies what they let through, so that the three cannot say different things.
*/}}
{{- define "context.graph" -}}
gateway:
  port: 4000
  portName: http
  calls: [knowledge, embedding, retrieval]
  database: false
  redis: true
knowledge:
  port: 50051
  portName: grpc
  health: context.v1.KnowledgeService
  calls: []
  database: true
  redis: false
embedding:
  port: 50052
  portName: grpc
  health: context.v1.EmbeddingService
  calls: []
  database: false
  redis: true
retrieval:
  port: 50053
  portName: grpc
  health: context.v1.RetrievalService
  calls: [knowledge, embedding]
  database: true
  redis: false
{{- end }}

{{- define "context.metricsPort" -}}9100{{- end }}
