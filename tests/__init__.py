"""Everything that judges the system; what is in this file runs before any of it."""

import os

# Tests, drills and benches serve and call gRPC in the process that starts others. Its handlers for forks, read when it
# is imported, bring its poller up in the child, which then closes the poller's descriptors before it runs its program:
# one in fifty died.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
