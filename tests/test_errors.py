"""An error that a person can act on says the same wherever it is told."""

from __future__ import annotations

import pickle

from pipelines.errors import TrustError, WorkspaceError


def test_an_error_crosses_to_another_process_whole() -> None:
    sent = WorkspaceError("The disk is full.", "Make room.")
    found = pickle.loads(pickle.dumps(sent))
    assert type(found) is WorkspaceError
    assert isinstance(found, TrustError)
    assert (found.problem, found.remedy, str(found)) == (sent.problem, sent.remedy, str(sent))
