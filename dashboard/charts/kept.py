"""A figure is drawn once for the same facts: most of what a page costs is drawing, and most readers see the same."""

from __future__ import annotations

import functools
import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import ParamSpec

import plotly.graph_objects as go

from dashboard.language import code

MOST = 1_000
"""Figures kept at once, those asked for last: every page of two editions for some scopes; about 0.07 MB each."""

P = ParamSpec("P")


def kept(draw: Callable[P, go.Figure]) -> Callable[P, go.Figure]:
    """``draw`` that answers the same arguments with the same figure, to be treated as read-only.

    The key is every argument whole, each row of each frame: two figures are one only where nothing differs. Bounded to
    ``MOST`` figures over all charts, the longest unasked dropped first. Arguments must be picklable: functions by name.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        key = _written((draw.__module__, draw.__qualname__, args, sorted(kwargs.items()), code()))
        with _lock:
            found = _figures.get(key)
            if found is not None:
                _figures.move_to_end(key)
                return found
        figure = _finished(draw(*args, **kwargs))
        with _lock:
            _figures[key] = figure
            while len(_figures) > MOST:
                _figures.popitem(last=False)
        return figure

    return drawn


def _finished(figure: go.Figure) -> go.Figure:
    """The figure with what is sent of it made once: writing one out costs as much as all else of a page together."""
    sent = figure.to_dict()
    # Its own outermost layer each time, as copying a figure adds to it.
    object.__setattr__(figure, "to_dict", lambda: dict(sent))
    return figure


def _written(value: object) -> bytes:
    """Bytes that are one for equal values. Without the pickler's memo, which writes a text that is used twice another
    way where it is one object than where it is two equal ones: an answer just made, and the same one from the cache."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.fast = True
    pickler.dump(value)
    return buffer.getvalue()


_lock = threading.Lock()
_figures: OrderedDict[bytes, go.Figure] = OrderedDict()
