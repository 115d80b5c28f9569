"""These tests run by `make test-engines` alone: they need Spark, which `make test` does not install."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("FORECAST_TRUST_TEST_ENGINES") else ["test_clusters.py", "test_engines.py"]
