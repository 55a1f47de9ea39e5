"""The parts that settings make and that new settings replace: what decides, what answers and what makes spans.

None of them remembers an exchange, so that all of them can be replaced at any time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .content import make_attribute_builder, make_limits, static_attributes
from .route_file import RouteFile
from .samplers import make_excluder, make_keeper, make_sampler
from .settings import Settings, SettingsError
from .tracing import Answerer, ConnectionTracer, ExchangeTracer, ExtractCounts, IdGenerator, Propagation, RoutesError, Sampler
from .tracing.attributes import AttributeBuilder
from .tracing.routes import NO_ROUTES

__all__ = ["Parts", "load_routes", "make_parts"]


class Parts(NamedTuple):
    """All of one set of settings."""

    sampler: Sampler
    attributes: AttributeBuilder
    answerer: Answerer
    tracer: ExchangeTracer
    connection_tracer: ConnectionTracer


def make_parts(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    ids: IdGenerator,
    routes: RouteFile | None,
    extracts: ExtractCounts | None = None,
) -> Parts:
    """The parts for checked settings; ``environ`` is where attributes of ``env`` are from, ``extracts`` see ``Propagation``."""
    propagation = settings.propagation
    sampler = make_sampler(settings.sampling)
    attributes = make_attribute_builder(settings.spans, environ, NO_ROUTES if routes is None else routes.table)
    limits = make_limits(settings.spans)
    keeper = make_keeper(settings.sampling)
    return Parts(
        sampler=sampler,
        attributes=attributes,
        answerer=Answerer(
            sampler=sampler,
            ids=ids,
            propagation=Propagation(
                propagation.propagators,
                mode=propagation.mode,
                trusted_networks=propagation.trusted_networks,
                link_untrusted=propagation.link_untrusted,
                counts=extracts,
            ),
            excluder=make_excluder(settings.sampling),
            baggage_keys=propagation.baggage_attributes,
        ),
        tracer=ExchangeTracer(
            sampler=sampler,
            ids=ids,
            attributes=attributes,
            profile=settings.profile,
            keeper=keeper,
            limits=limits,
            baggage_keys=propagation.baggage_attributes,
            describe=settings.logs.enabled,
            describe_excluded=settings.logs.excluded_requests,
        ),
        connection_tracer=ConnectionTracer(
            sampler=sampler,
            keeper=keeper,
            attributes=static_attributes(settings.spans, environ),
            limits=limits,
            describe=settings.logs.enabled,
        ),
    )


def load_routes(settings: Settings, *, tolerant: bool = False) -> RouteFile | None:
    """The file of routes, read; None if there is none.

    Args:
        settings: name it.
        tolerant: take one that can't be used, without routes until it can; its ``error`` says why.

    Raises:
        SettingsError: it can't be used.
    """
    if settings.spans.routes_file is None:
        return None
    routes = RouteFile(Path(settings.spans.routes_file))
    try:
        routes.load()
    except RoutesError as error:
        if not tolerant:
            raise SettingsError(f"spans.routesFile: {error}") from None
    return routes
