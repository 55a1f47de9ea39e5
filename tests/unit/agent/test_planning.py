"""Plans: HAProxy is told what the agent itself goes by."""

import pytest

from haproxy_telemetry_agent.planning import make_plan
from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_agent.wiring import Capture, Plan, Sampling, ThresholdForce, ThresholdRule

NEVER, ALWAYS, QUARTER = "z", "00000000000000", "c0000000000000"


def test_default_settings_are_the_default_plan() -> None:
    assert make_plan(parse_settings({}), spoe_path=Plan().spoe_path) == Plan()


@pytest.mark.parametrize(
    ("sampling", "threshold", "follows_parent"),
    [
        ({"type": "AlwaysOn"}, ALWAYS, False),
        ({"type": "AlwaysOff"}, NEVER, False),
        ({"type": "ParentBasedAlwaysOff"}, NEVER, True),
        ({"type": "TraceIDRatio", "ratio": 0.25}, QUARTER, False),
        ({"type": "ParentBasedTraceIDRatio", "ratio": 0}, NEVER, True),
    ],
)
def test_haproxys_own_traces_are_sampled_as_the_agents(sampling: dict[str, object], threshold: str, follows_parent: bool) -> None:
    plan = make_plan(parse_settings({"sampling": sampling}), spoe_path="/x")
    assert plan.sampling == Sampling(threshold=threshold, follows_parent=follows_parent)


def test_all_that_can_be_said() -> None:
    settings = parse_settings(
        {
            "profile": "Full",
            "processingTimeout": "5ms",
            "listen": {"spop": "unix:/run/spoa.sock", "records": "[::]:10514"},
            "propagation": {
                "propagators": ["b3", "tracecontext"],
                "mode": "Extract",
                "trustedNetworks": ["10.0.0.0/8"],
                "linkUntrusted": True,
                "baggageAttributes": ["tenant"],
            },
            "sampling": {
                "rules": [{"name": "shop", "ratio": 0, "host": "shop.example", "header": {"name": "X-Shop"}}],
                "force": {"header": "X-Debug", "value": "1", "networks": ["10.0.0.0/8"]},
                "exclude": {"paths": ["/healthz"], "userAgents": ["kube-probe/"]},
            },
            "spans": {"requestHeaders": ["X-Shop"]},
        }
    )
    assert make_plan(settings, spoe_path="/run/spoe.cfg") == Plan(
        profile="Full",
        spop_address="unix@/run/spoa.sock",
        records_address="[::1]:10514",
        spoe_path="/run/spoe.cfg",
        processing_timeout="5ms",
        sampling=Sampling(
            rules=(ThresholdRule(0.0, host="shop.example", header=("X-Shop", None)),),
            force=ThresholdForce("X-Debug", "1", ("10.0.0.0/8",)),
            excluded_paths=(("prefix", "/healthz"),),
            excluded_user_agents=("kube-probe/",),
        ),
        propagators=("b3", "tracecontext"),
        propagation_mode="Extract",
        trusted_networks=("10.0.0.0/8",),
        link_untrusted=True,
        with_baggage=True,
        # The rule's header is a span's as well: it is not sent twice.
        captures=(Capture("q.x-shop", "req.fhdr(x-shop)"), Capture("s.x-debug", "req.fhdr(x-debug)", "decision")),
    )
