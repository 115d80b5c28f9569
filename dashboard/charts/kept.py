"""A figure is drawn once for the same facts: most of what a page costs is drawing, and most readers see the same."""

from __future__ import annotations

import functools
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
        key = pickle.dumps((draw.__module__, draw.__qualname__, args, sorted(kwargs.items()), code()))
        with _lock:
            found = _figures.get(key)
            if found is not None:
                _figures.move_to_end(key)
                return found
        figure = draw(*args, **kwargs)
        with _lock:
            _figures[key] = figure
            while len(_figures) > MOST:
                _figures.popitem(last=False)
        return figure

    return drawn


_lock = threading.Lock()
_figures: OrderedDict[bytes, go.Figure] = OrderedDict()
