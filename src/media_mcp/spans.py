"""Spans of OpenTelemetry for what we do, where an SDK of it is configured; else nothing at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from media_mcp import trail
from media_mcp.trail import Trail

_SDK = "opentelemetry.sdk.trace"  # who wants spans has loaded it before
_PARENT = "traceparent"
Note = Callable[[str, str], None]


def here() -> Trail:
    """Return the trail of what runs now, its trace that of the span that is open, if one is."""
    found = trail.here()
    if _SDK not in sys.modules:
        return found
    from opentelemetry.trace.propagation import tracecontext

    carrier: dict[str, str] = {}
    tracecontext.TraceContextTextMapPropagator().inject(carrier)
    return replace(found, trace=carrier.get(_PARENT, found.trace))


@contextmanager
def span(name: str, trace: str, **told: str) -> Iterator[Note]:
    """Do what is within in a span, below the one that is open or else below `trace`.

    Yields what notes another attribute.
    """
    if _SDK not in sys.modules:
        yield lambda attribute, value: None
        return
    from opentelemetry.trace import get_current_span, get_tracer
    from opentelemetry.trace.propagation import tracecontext

    open_ = get_current_span().get_span_context().is_valid
    w3c = tracecontext.TraceContextTextMapPropagator()
    parent = None if open_ else w3c.extract({_PARENT: trace})
    known = {f"media_mcp.{attribute}": value for attribute, value in told.items()}
    tracer = get_tracer("media-mcp")
    with tracer.start_as_current_span(name, context=parent, attributes=known) as found:
        yield lambda attribute, value: found.set_attribute(f"media_mcp.{attribute}", value)
