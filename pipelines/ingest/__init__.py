"""Ingestion: a customer's files become landed rows and rejected rows, and nothing is guessed."""

from pipelines.ingest.loading import FileReport, ingest_paths

__all__ = ["FileReport", "ingest_paths"]
