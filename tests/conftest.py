"""One thread a test process: two of them share the two cores, and results are the same bit for bit."""

import os

# Read by torch when it is imported, and by the processes that tests start
os.environ["OMP_NUM_THREADS"] = "1"
# No test asks a server of weights for anything, but those that have a server of their own
os.environ["LAZYCFG_OFFLINE"] = "1"
