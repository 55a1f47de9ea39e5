"""The settings file: what may stand in it, and what an error says about what may not."""

import json
import re
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.records.framing import RecordReader
from haproxy_telemetry_agent.settings import RATIO_SAMPLERS, Settings, SettingsError, duration_seconds, parse_settings, schema

Document = dict[str, Any]

WHOLE_FILE = """
profile: Standard
processingTimeout: 5ms
listen:
  spop: unix:/run/spoa.sock
  records: "[::1]:10514"
  http: ":9464"
  httpTls: {certificateFile: /http-cert, keyFile: /http-key, clientCaFile: /http-ca}
exporter:
  type: file
  endpoint: https://collector:4318
  tracesEndpoint: https://collector:4318/custom
  protocol: http/protobuf
  compression: none
  timeout: 500ms
  headers: [{name: X-Api-Key, value: "s3cret, with spaces", valueFile: null}]
  tls: {caFile: /ca, certificateFile: /cert, keyFile: /key, insecureSkipVerify: false}
  batch: {maxQueueSpans: 10, maxQueueBytes: 1024, maxBatchSpans: 10, dropPolicy: Oldest, delay: 0s, retry: 1m}
  spill: {directory: /var/lib/spill, maxBytes: 1048576}
  file: {path: /traces.jsonl, maxBytes: 65536}
  plugin:
exporters: []
sampling:
  type: ParentBasedTraceIDRatio
  ratio: 0.25
  plugin:
  pluginArgument:
  rules:
    - name: api
      ratio: 0.5
      host: "*.example.com"
      path: {prefix: null, glob: null, regex: ^/api/}
      method: GET
      frontend: public-*
      header: {name: X-Tenant, value: a}
      networks: [10.0.0.0/8]
      overrideParent: true
  exclude: {paths: [/healthz, {prefix: null, glob: "*/ready", regex: null}], userAgents: [kube-probe/]}
  maxTracesPerSecond: 100.0
  force: {header: X-Force, value: "1", networks: [10.0.0.0/8]}
  keep: {errors: true, slowerThan: 2s, maxPerSecond: 5.0}
propagation:
  propagators: [b3, tracecontext]
  mode: Extract
  trustedNetworks: [10.0.0.0/8, "fd00::/8"]
  linkUntrusted: true
  baggageAttributes: [tenant]
spans:
  redactQuery: true
  queryMode: AllowList
  sensitiveQueryParameters: []
  allowedQueryParameters: [page]
  scrubPaths: [{pattern: "^/users/[^/]+", replacement: /users/REDACTED}]
  knownMethods: [BREW]
  forwarded: {trust: TrustedNetworks, networks: [10.0.0.0/8, unix], headers: XForwarded}
  routesFile: /run/routes.json
  requestHeaders: [X-Tenant]
  responseHeaders: [Set-Cookie]
  allowSensitiveHeaders: true
  attributes: [{name: region, value: eu, env: null, requestHeader: null}]
  samples: [{name: country, fetch: "src,map_ip(/etc/geo.map)", at: Request}]
  tls: true
  grpc: true
  servicePeerName: KubernetesBackend
  peerService: true
  limits: {attributeCount: 64, attributeValueLength: 256, eventCount: 1, linkCount: 0}
metrics:
  requests: true
  labels: [http.route, error.type]
  maxSeries: 100
  exemplars: false
  excludedRequests: false
  push: {enabled: false, endpoint: "http://collector:4318/v1/metrics", interval: 10s}
logs:
  enabled: true
  excludedRequests: true
  endpoint: https://logs:4318/custom
  protocol: http/protobuf
  compression: gzip
  timeout: 2s
  headers: [{name: X-Logs, value: s3cret, valueFile: null}]
  tls: {caFile: /ca2, certificateFile: /cert2, keyFile: /key2, insecureSkipVerify: false}
  batch: {maxQueueRecords: 11, maxQueueBytes: 1025, maxBatchRecords: 11, dropPolicy: Oldest, delay: 3s, retry: 2m}
debug: {enabled: true, remote: true}
minilanguage:
  maxExchanges: 1
  maxBytes: 1048576
  maxSpans: 9
  maxTags: 1
  maxTextCharacters: 16
  requestTimeout: 30s
  serverTimeout: 60m
  upgradedTimeout: 1440m
  serverSpans: [Upstream]
resource: {serviceName: edge, attributes: {deployment.environment.name: prod}}
log: {level: warn, format: json}
limits: {maxConnections: 1, maxFrameSizeBytes: 256, maxRecordBytes: 1024, maxMemoryBytes: 67108864}
shutdownTimeout: 30s
drainTimeout: 2s
"""


def nested(path: str, value: object) -> Document:
    """``a.b`` and a value as ``{"a": {"b": value}}``."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


def refusal(document: Document) -> str | None:
    try:
        parse_settings(document)
    except SettingsError as error:
        return str(error)
    return None


def error_of(document: Document) -> str:
    words = refusal(document)
    assert words is not None
    return words


class TestValid:
    def test_everything_has_a_default(self) -> None:
        assert parse_settings({}) == Settings()

    def test_everything_can_be_set(self) -> None:
        document = yaml.safe_load(WHOLE_FILE)
        assert leaves(msgspec.to_builtins(parse_settings(document))) == leaves(document)
        assert paths(document) == paths(schema_paths(schema()))

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1:1",
            "0.0.0.0:65535",
            "localhost:4317",
            "*:4317",
            ":4317",
            "[::1]:4317",
            "[::]:4317",
            "agent.example:4317",
            "unix:/run/a b.sock",
        ],
    )
    def test_address(self, address: str) -> None:
        assert parse_settings({"listen": {"spop": address}}).listen.spop == address

    @pytest.mark.parametrize("type_", ["AlwaysOn", "AlwaysOff", "ParentBasedAlwaysOn", "ParentBasedAlwaysOff"])
    def test_sampler_without_a_ratio(self, type_: str) -> None:
        assert parse_settings({"sampling": {"type": type_}}).sampling.ratio is None

    @pytest.mark.parametrize("type_", RATIO_SAMPLERS)
    @pytest.mark.parametrize("ratio", [0, 0.25, 1])
    def test_sampler_with_a_ratio(self, type_: str, ratio: float) -> None:
        assert parse_settings({"sampling": {"type": type_, "ratio": ratio}}).sampling.ratio == ratio


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["name", "tls", "batch", "ratio"]), inner)
    ),
    max_leaves=5,
)


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "value", "fix"),
        [
            # Of a wrong kind.
            ("profile", "Fast", "expected one of Standard, Full, Stream"),
            ("processingTimeout", "0ms", "expected 1 to 99999 with us, ms or s, such as 20ms"),
            ("processingTimeout", "1m", "expected 1 to 99999 with us, ms or s, such as 20ms"),
            ("processingTimeout", 20, "expected text, got a whole number"),
            ("listen.spop", "12345", "expected host:port ([::1]:port for IPv6) or unix:/path"),
            ("listen.spop", "::1:12345", "expected host:port ([::1]:port for IPv6) or unix:/path"),
            ("listen.records", "unix:", "expected host:port ([::1]:port for IPv6) or unix:/path"),
            ("listen.http", "http://localhost:9464", "expected host:port ([::1]:port for IPv6) or unix:/path"),
            ("listen.http", 9464, "expected text, got a whole number"),
            ("exporter.endpoint", "collector:4318", "expected a http:// or https:// URL, such as http://collector:4318"),
            ("exporter.endpoint", "grpc://collector", "expected a http:// or https:// URL, such as http://collector:4318"),
            ("exporter.protocol", "http/json", "expected one of http/protobuf, grpc"),
            ("exporter.type", "zipkin", "expected one of otlp, console, file, plugin, none"),
            ("exporter.batch.dropPolicy", "Random", "expected one of Newest, Oldest"),
            ("exporter.file.path", "", "expected a path"),
            ("exporter.file.path", "/a\0b", "expected a path"),
            ("exporter.spill.directory", "spill", "expected an absolute path"),
            ("exporter.spill.directory", "/sp\0ill", "expected an absolute path"),
            ("exporter.spill.maxBytes", 1000, "expected a whole number >= 1048576"),
            ("exporter.file.maxBytes", 1, "expected a whole number >= 65536"),
            ("exporter.compression", "zstd", "expected one of none, gzip"),
            ("exporter.timeout", "10", "expected a whole number with us, ms, s or m, such as 10s"),
            ("exporter.timeout", "1.5s", "expected a whole number with us, ms, s or m, such as 10s"),
            ("exporter.timeout", "1h", "expected a whole number with us, ms, s or m, such as 10s"),
            ("exporter.batch.maxQueueSpans", 0, "expected a whole number >= 1"),
            ("exporter.batch.maxQueueSpans", "many", "expected a whole number, got text"),
            ("exporter.batch.maxQueueBytes", 1, "expected a whole number >= 1024"),
            ("exporter.batch.maxBatchSpans", 1.5, "expected a whole number, got a number"),
            ("exporter.tls.insecureSkipVerify", "yes", "expected true or false, got text"),
            ("sampling.type", "TraceIdRatio", "expected one of AlwaysOn, AlwaysOff, TraceIDRatio, ParentBasedAlwaysOn"),
            ("sampling.ratio", 2, "expected a number <= 1.0"),
            ("sampling.ratio", -0.5, "expected a number >= 0.0"),
            ("spans.redactQuery", 1, "expected true or false, got a whole number"),
            ("log.level", "verbose", "expected one of debug, info, warn, error"),
            ("log.format", "xml", "expected one of console, json"),
            ("limits.maxConnections", 0, "expected a whole number >= 1"),
            ("limits.maxFrameSizeBytes", 255, "expected a whole number >= 256"),
            ("limits.maxRecordBytes", 10_000_000, "expected a whole number <= "),
            ("shutdownTimeout", "soon", "expected a whole number with us, ms, s or m, such as 10s"),
            # A whole section.
            ("exporter", "http://collector:4318", "expected a mapping, got text"),
            # Each in order, but not together.
            ("listen.spop", "127.0.0.1:65536", "a port is at most 65535"),
            # What is left to be said better.
            pytest.param("exporter.tracesEndpoint", "collector", "expected a http:// or https:// URL"),
            pytest.param("propagation.propagators", [], "expected a list of at least one"),
            pytest.param("spans.knownMethods", "GET", "expected a list"),
            pytest.param("exporter.timeout", 10, "such as 10s"),
        ],
    )
    def test_names_field_value_and_fix(self, path: str, value: object, fix: str) -> None:
        assert error_of(nested(path, value)).startswith(f"{path}: {value!r}: ")
        assert fix in error_of(nested(path, value))

    @pytest.mark.parametrize(
        ("document", "error"),
        [
            (
                {"exporter": {"headers": [{"name": "a", "value": "b"}, {"name": "two words", "value": "b"}]}},
                "exporter.headers[1].name: 'two words': expected an HTTP header's name",
            ),
            (
                {"exporter": {"headers": [{"name": "a"}]}},
                "exporter.headers[0].value: missing; it has no default: set it, or valueFile",
            ),
            (
                {"exporters": [{}, {"timeout": "soon"}]},
                "exporters[1].timeout: 'soon': expected a whole number with us, ms, s or m, such as 10s",
            ),
            (
                {"propagation": {"propagators": ["tracecontext", "ottrace"]}},
                "propagation.propagators[1]: 'ottrace': expected one of tracecontext, baggage, b3, b3multi, jaeger, xray, none",
            ),
            pytest.param(
                {"resource": {"attributes": {"version": 1}}},
                "resource.attributes.version: 1: expected text, got a whole number",
            ),
        ],
    )
    def test_names_the_element_of_a_list(self, document: Document, error: str) -> None:
        assert error_of(document) == error

    @pytest.mark.parametrize(
        ("document", "path", "known"),
        [
            ({"exporting": {}}, "exporting", "profile, processingTimeout, listen, exporter, exporters, sampling"),
            ({"exporter": {"url": "x"}}, "exporter.url", "type, endpoint, tracesEndpoint, protocol"),
            (
                {"exporter": {"batch": {"max_batch_spans": 1}}},
                "exporter.batch.max_batch_spans",
                "maxQueueSpans, maxQueueBytes, maxBatchSpans",
            ),
            ({"exporter": {"headers": [{"key": "a", "value": "b"}]}}, "exporter.headers[0].key", "name, value"),
            ({"listen": {"grpc": ":1"}}, "listen.grpc", "spop, records, http"),
        ],
    )
    def test_an_unknown_key_is_an_error_that_says_which_are_known(self, document: Document, path: str, known: str) -> None:
        assert error_of(document).startswith(f"{path}: unknown key; known here: {known}")

    @pytest.mark.parametrize(
        ("document", "error"),
        [
            ({"sampling": {"type": "TraceIDRatio"}}, "sampling.ratio: None with type TraceIDRatio: a ratio is required by"),
            (
                {"sampling": {"ratio": 0.5}},
                "sampling.ratio: 0.5 with type ParentBasedAlwaysOn: a ratio is required by, and only allowed with",
            ),
            ({"exporter": {"tls": {"keyFile": "/k"}}}, "exporter.tls: certificateFile and keyFile belong together"),
            ({"exporters": [{}, {"tls": {"keyFile": "/k"}}]}, "exporters[1].tls: certificateFile and keyFile belong together"),
            ({"listen": {"spop": ":1", "records": ":1"}}, "listen: spop, records and http must be three different addresses"),
        ],
    )
    def test_what_does_not_go_together(self, document: Document, error: str) -> None:
        assert error_of(document).startswith(error)

    @pytest.mark.parametrize("value", ["s3cret\x00", "s3cret-é", "s3cret\nX-Evil: 1"])
    def test_never_shows_the_value_of_a_header(self, value: str) -> None:
        error = error_of({"exporter": {"headers": [{"name": "authorization", "value": value}]}})
        assert "exporter.headers[0].value" in error
        assert "s3cret" not in error

    @pytest.mark.parametrize(
        "headers",
        ["authorization=s3cret", ["authorization=s3cret"], {"authorization": "s3cret"}, [{"name": "a", "value": {"b": "s3cret"}}]],
    )
    def test_never_shows_headers_that_are_written_wrongly(self, headers: object) -> None:
        error = error_of({"exporter": {"headers": headers}})
        assert error.startswith("exporter.headers")
        assert ": (not shown): expected" in error
        assert "s3cret" not in error

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("exporter.headers", [{"name": "authorization", "value": "s3cret\n"}]),
            ("exporter.headers", [{"name": "authorization\n", "value": "s3cret"}]),
            ("exporter.timeout", "10s\n"),
            ("processingTimeout", "20ms\n"),
            ("listen.spop", "127.0.0.1:12345\n"),
            ("listen.spop", "unix:/run/spoa.sock\n"),
        ],
    )
    def test_a_line_feed_is_part_of_no_value(self, path: str, value: object) -> None:
        """In a YAML block (``value: |``) it easily is."""
        assert path in error_of(nested(path, value))

    @given(document=st.dictionaries(st.sampled_from(["exporter", "sampling", "listen", "log", "x"]), ANYTHING))
    def test_any_document_is_settings_or_an_error_in_words(self, document: Document) -> None:
        words = refusal(document)
        assert words is None or re.match(r"[\w.\[\]]+: ", words)


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("0s", 0), ("10s", 10), ("500ms", 0.5), ("20us", 0.00002), ("5m", 300), ("999999999m", 59_999_999_940)],
    )
    def test_seconds(self, text: str, seconds: float) -> None:
        assert duration_seconds(text) == pytest.approx(seconds)


class TestSchema:
    def test_is_json(self) -> None:
        assert json.loads(json.dumps(schema())) == schema()
        assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def test_its_defaults_are_the_settings_own(self) -> None:
        assert parse_settings(defaults_of({"$ref": schema()["$ref"]})) == Settings()

    def test_every_object_refuses_unknown_keys(self) -> None:
        definitions = schema()["$defs"]
        assert {name for name, definition in definitions.items() if definition.get("additionalProperties") is not False} == set()

    def test_names_are_in_camel_case(self) -> None:
        names = [name for definition in schema()["$defs"].values() for name in definition["properties"]]
        assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name)] == []

    def test_the_longest_record_that_may_be_allowed_can_be_read(self) -> None:
        longest = schema()["$defs"]["Limits"]["properties"]["maxRecordBytes"]["maximum"]
        assert RecordReader(max_record_bytes=longest).receive(b"%d " % longest) == []


def definition_of(reference: Document) -> Document:
    definition: Document = schema()["$defs"][reference["$ref"].rpartition("/")[2]]
    return definition


def defaults_of(reference: Document) -> Document:
    """A document of all the defaults that the schema tells."""
    defaults = {}
    for name, field in definition_of(reference)["properties"].items():
        if "$ref" in field:
            defaults[name] = defaults_of(field)
        elif field.get("default") is not None:
            defaults[name] = field["default"]
    return defaults


def schema_paths(reference: Document) -> Document:
    """A document with every key that the schema knows."""
    document: Document = {}
    for name, field in definition_of(reference)["properties"].items():
        # What may also be null is one of two alternatives.
        mapping = next((kind for kind in [field, *field.get("anyOf", [])] if "$ref" in kind), None)
        document[name] = None if mapping is None else schema_paths(mapping)
    return document


def leaves(node: object, path: str = "") -> set[tuple[str, str]]:
    """Dotted paths and values of a document; ``resource.attributes`` is a value, since its keys are the user's."""
    if isinstance(node, dict) and not path.endswith("attributes"):
        return {leaf for key, value in node.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))}
    return {(path, repr(node))}


def paths(node: object) -> set[str]:
    return {path for path, _value in leaves(node)}
