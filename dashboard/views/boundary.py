"""The one place where an error becomes two sentences: around a page, and around each part that redraws itself alone."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard.language import say
from dashboard.views import parts
from pipelines.errors import TrustError

log = logging.getLogger("forecast_trust")


@contextmanager
def boundary() -> Iterator[None]:
    """A problem a person can fix is said in two sentences; anything else is apologised for with an id found in the log.

    No traceback reaches the screen: it may hold names and amounts.
    """
    try:
        yield
    except TrustError as error:
        log.warning("%s %s", error.problem, error.remedy)
        st.error(f"{parts.prose(error.problem)}\n\n{parts.prose(error.remedy)}", icon=":material/error:")
    except Exception:  # the boundary itself: everything below it lets the unexpected pass
        reference = uuid.uuid4().hex[:8]
        log.exception("Unexpected error %s", reference)
        st.error(
            say(
                "This page could not be drawn, and that is our fault, not yours.\n\nReload it; if that does not "
                "help, report error **{reference}**: the details stand beside that number in the output of "
                "`forecast-trust dashboard`.",
                reference=reference,
            ),
            icon=":material/error:",
        )
