"""The table of what HAProxy tells of a connection of a ``mode tcp`` frontend: the parameters of its record.

Nothing is asked at its start, since there is no header to hand a trace context on in: the record alone makes the spans. Its names
are those of ``wiring.fields``. The trace id is in it, of HAProxy's making, so that a record that is delivered twice makes the same
spans twice.

``since`` is the first version that knows a row's ``record``; older ones write ``-`` there.

Measured on 2.6 to 3.2: the values of TLS are still there when either side has closed; without a server HAProxy writes ``<NOSRV>``.
"""

from .field import Field
from .names import variable_name

__all__ = ["CONNECTION_FIELDS"]

CONNECTION_FIELDS: tuple[Field, ...] = (
    Field("id", "a random UUID: the trace id", record="%[uuid()]"),
    Field("ts", "termination state: cause and phase", record="%ts"),
    Field("fc_err", "why the client's connection broke, 0 if it did not; before the rules: in a handshake", record="%[fc_err]"),
    Field("f", "frontend", record="%f"),
    Field("b", "backend; the frontend's own name if none was chosen", record="%b"),
    Field("s", "server; <NOSRV> if none was chosen", record="%s"),
    Field("ci", "client address", record="%ci"),
    Field("cp", "client port", record="%cp"),
    Field("fi", "address the client connected to", record="%fi"),
    Field("fp", "port the client connected to", record="%fp"),
    Field("si", "server address", record="%si"),
    Field("sp", "server port", record="%sp"),
    Field("sslv", "TLS version of the client's connection, - unless HAProxy terminates TLS", record="%sslv"),
    Field("sslc", "its cipher", record="%sslc"),
    Field("ssl_bc", "1 if the server was reached by TLS", record="%[ssl_bc]"),
    Field("Th", "ms of handshakes: TLS, PROXY protocol", record="%Th"),
    Field("Tw", "ms from the accept until the connection left the queues, and 1 more; -1 if it never did", record="%Tw"),
    Field("Tc", "ms to connect to the server, retries included", record="%Tc"),
    Field("Tt", "ms from the accept to the end", record="%Tt"),
    Field("rc", "retries; + in front: the last one went to another server", record="%rc"),
    Field("bq", "connections ahead in the backend's queue", record="%bq"),
    Field("sq", "connections ahead in the server's queue", record="%sq"),
    Field("U", "bytes read from the client", record="%U"),
    Field("B", "bytes sent to the client", record="%B"),
    Field("start", "us since the epoch at the accept", record="%[accept_date(us)]", since=(3, 0)),
    Field(
        "routed", "us since the epoch when the frontend's rules were last gone through", record=f"%[var({variable_name('routed')})]"
    ),
    # Text that clients choose.
    Field("alpn", "application protocol agreed on, if HAProxy terminates TLS", record="%[ssl_fc_alpn]"),
    Field("ssl_fc_sni", "server name asked for, if HAProxy terminates TLS", record="%[ssl_fc_sni]"),
    Field("sni", "server name asked for, if TLS passes through", record=f"%[var({variable_name('sni')})]"),
    Field("ID", "unique id, if the user has a unique-id-format", record="%ID"),
)
