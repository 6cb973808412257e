"""`helm test`: asks the gateway one thing from inside the cluster, as agents do; fails where it is not answered."""

import json
import os
import sys
from http.client import HTTPConnection

connection = HTTPConnection(os.environ["GATEWAY"], timeout=10)
if token := os.environ.get("CONTEXT_TOKEN"):
    question = json.dumps({"query": "what has been decided?", "max_tokens": 500})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/context/query", question, headers)
else:
    connection.request("GET", "/health")  # the gateway asks every service
answer = connection.getresponse()
text = answer.read().decode()
sys.stdout.write(f"{answer.status} {text}\n")
if answer.status != 200 or json.loads(text).get("status", "healthy") != "healthy":
    sys.exit("the gateway answers, and not everything is well")
