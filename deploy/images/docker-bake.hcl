// Every image in one call: `make images`. What a build may be told is a variable here, taken from the environment.

variable "REGISTRY" {      // such as "registry.example.org/team/"; empty: local names
  default = ""
}
variable "VERSION" {
  default = "unversioned"
}
variable "REVISION" {      // the commit
  default = "unknown"
}
variable "SOURCE" {        // where the sources are to be had
  default = ""
}
variable "BASE_IMAGE" {    // a Python 3.11 on glibc, by digest where builds must come out the same
  default = "python:3.11-slim-bookworm"
}
variable "PIP_INDEX_URL" { // empty: pip's own; one that needs a password belongs in the secret below
  default = ""
}
variable "PIP_CONFIG" {    // a pip.conf that only the build sees
  default = "/dev/null"
}
variable "MODEL" {         // "exported": made by a stage of the build; "given": taken from MODEL_PATH
  default = "exported"
}
variable "MODEL_PATH" {    // as `make model` writes it, inside the repository
  default = "dist/model"
}
variable "MODEL_FILES" {   // model.int8*.onnx, or model*.onnx for fp32 as well
  default = "model.int8*.onnx"
}

group "default" {
  targets = ["service", "embedding", "cli", "engine"]
}

target "common" {
  context = "."
  args = {
    BASE_IMAGE    = BASE_IMAGE
    PIP_INDEX_URL = PIP_INDEX_URL
    VERSION       = VERSION
    REVISION      = REVISION
    SOURCE        = SOURCE
  }
  secret = ["id=pip,src=${PIP_CONFIG}"]
}

target "service" {
  name       = name
  matrix     = { name = ["gateway", "knowledge", "retrieval"] }
  inherits   = ["common"]
  dockerfile = "services/${name}/Dockerfile"
  tags       = tags("context-${name}")
}

target "with-model" {
  inherits = ["common"]
  args = {
    MODEL       = MODEL
    MODEL_PATH  = MODEL_PATH
    MODEL_FILES = MODEL_FILES
  }
}

target "embedding" {
  inherits   = ["with-model"]
  dockerfile = "services/embedding/Dockerfile"
  tags       = tags("context-embedding")
}

target "cli" {
  inherits   = ["common"]
  dockerfile = "deploy/ops/Dockerfile"
  tags       = tags("context-cli")
}

target "engine" {
  inherits   = ["with-model"]
  dockerfile = "deploy/paas/Dockerfile"
  tags       = tags("context-engine")
}

function "tags" {
  params = [name]
  result = ["${REGISTRY}${name}:${VERSION}", "${REGISTRY}${name}:latest"]
}
