"""Everything that runs without a screen: from a CRM export to a published edition."""

import os

# Before numpy is loaded. The matrices here are small and many: cores that share one wait for each other, and how a sum
# is cut among them would show in its last digit. Independent measures take a core each instead (side_by_side).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
