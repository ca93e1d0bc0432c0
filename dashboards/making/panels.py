"""The list of all panels, and what dashboards of all kinds have in common."""

OVERVIEW = "barewire-overview"
INVESTIGATE = "barewire-investigate"
INVESTIGATE_LOKI = "barewire-investigate-loki"

GREEN, ORANGE, RED, BLUE = "green", "orange", "red", "blue"
# Nothing of it is harmless.
NONE_ALLOWED = [(GREEN, None), (RED, 1)]
# No better and no worse, a number only.
PLAIN = [(BLUE, None)]

# Colours of values by what they mean, in Grafana's names.
SEVERITIES = {"critical": "dark-red", "high": "red", "medium": "orange", "low": "yellow", "info": "blue"}
OUTCOMES = {"accepted": "red", "rejected-after-auth": "orange", "rejected": "blue", "refused-by-policy": "green", "cancelled": "yellow",
            "unknown": "gray"}
PROTECTION = {"clear": "red", "starttls": "green", "implicit_tls": "dark-green", "unknown": "gray"}
ESTABLISHED = {"false": "red", "true": "green"}

# --- panels of metrics --------------------------------------------------------------------------

# What every query is narrowed to.
S = 'instance=~"$instance"'
DISCLOSED = 'rule=~"cleartext-password|cleartext-bearer-token"'
INTERFERED = 'rule=~"starttls-stripped|starttls-command-injection|starttls-response-injection"'
RATE = "[$__rate_interval]"


def metric(kind, title, description, query, legend="", unit="short", steps=PLAIN, width=6, height=5, link=False, colors=()):
    return dict(locals())


METRIC_PANELS = [
    "Is the sensor seeing?",
    metric(
        "stat", "Sensors", "Sensors whose page is read. One that is gone is missing here: BarewireSensorDown tells of it.",
        f"count(barewire_build_info{{{S}}})", steps=[(RED, None), (GREEN, 1)], width=4,
    ),
    metric(
        "stat", "Since the last packet",
        "Time since the last packet of the sensor that waits longest. From ten minutes on BarewireBlind: no finding means "
        "nothing then. The page of a replay is as old as its capture.",
        f"max(time() - barewire_last_packet_timestamp_seconds{{{S}}})",
        unit="s", steps=[(GREEN, None), (ORANGE, 120), (RED, 600)], width=5,
    ),
    metric(
        "stat", "Packets dropped",
        "Share of the packets that the kernel or a worker dropped within the last hour. From one in a hundred on "
        "BarewirePacketLoss: logins are missed.",
        f"sum(increase(barewire_capture_dropped_packets_total{{{S}}}[1h]))"
        f" / (sum(increase(barewire_capture_received_packets_total{{{S}}}[1h])) > 0)",
        unit="percentunit", steps=[(GREEN, None), (ORANGE, 0.0001), (RED, 0.01)], width=5,
    ),
    metric(
        "stat", "Octets missing",
        "Share of the octets of mail connections since the start that their receivers have and the sensor has not. From one "
        "in a thousand on BarewireTrafficMissing: the span port is given more than it carries.",
        f"max(barewire_capture_lost_ratio{{{S}}})",
        unit="percentunit", steps=[(GREEN, None), (ORANGE, 0.0001), (RED, 0.001)], width=5,
    ),
    metric(
        "stat", "Connections not judged",
        "Share of the mail connections of the last hour of which something could not be judged. From one in five on "
        "BarewireCoverageGaps.",
        f"sum(increase(barewire_unjudged_sessions_total{{{S}}}[1h]))"
        f" / (sum(increase(barewire_sessions_total{{{S}}}[1h])) > 0)",
        unit="percentunit", steps=[(GREEN, None), (ORANGE, 0.05), (RED, 0.2)], width=5,
    ),
    metric(
        "timeseries", "Packets", "Packets that the capture handed over, by interface. A line at 0 is an interface on which "
        "nothing is said.",
        f"sum by (instance, interface) (rate(barewire_capture_packets_total{{{S}}}{RATE}))",
        "{{instance}} {{interface}}", "pps", width=12, height=7,
    ),
    metric(
        "timeseries", "Dropped, by reason",
        "kernel: the ring was full (--fanout); application: a worker did not keep up (-j). Each is traffic nobody has looked at.",
        f"sum by (interface, reason) (rate(barewire_capture_dropped_packets_total{{{S}}}{RATE}))",
        "{{interface}} {{reason}}", "pps", width=12, height=7,
    ),
    metric(
        "timeseries", "Not judged, by reason",
        "Mail connections of which something could not be judged, by why. asymmetric: only one direction is mirrored; gap: "
        "packets are missing; evicted: --max-memory is too small.",
        f"sum by (reason) (rate(barewire_unjudged_sessions_total{{{S}}}{RATE}))", "{{reason}}", "cps", width=12, height=7,
    ),
    metric(
        "timeseries", "Not looked into, by reason",
        "Packets that were not looked into. Many of tunnel or link-type: mail may be in there.",
        f"sum by (reason) (rate(barewire_skipped_packets_total{{{S}}}{RATE}))", "{{reason}}", "pps", width=12, height=7,
    ),
    "What is exposed now?",
    metric(
        "stat", "Passwords and tokens accepted, 24 h",
        "Logins of the last day whose password or token passed in clear and works: each account must be moved to TLS and "
        "given another password. The records name accounts, servers and clients.",
        f'round(sum(increase(barewire_findings_total{{{S},{DISCLOSED},outcome="accepted"}}[24h])))',
        steps=NONE_ALLOWED, width=6, height=7, link=True,
    ),
    metric(
        "stat", "STARTTLS interfered with, 24 h",
        "Offers removed, and commands or replies put before TLS, within the last day. Each deserves a look at what stands "
        "between client and server.",
        f"round(sum(increase(barewire_findings_total{{{S},{INTERFERED}}}[24h])))",
        steps=NONE_ALLOWED, width=6, height=7, link=True,
    ),
    metric(
        "bargauge", "Logins in clear, 24 h",
        "Login attempts in clear of the last day, by protocol and by what the server made of them.",
        f"sort_desc(round(sum by (protocol, outcome) (increase(barewire_logins_total{{{S}}}[24h]))) > 0)",
        "{{protocol}} {{outcome}}", width=12, height=7, link=True,
    ),
    metric(
        "timeseries", "Findings by rule", "Occurrences of findings in a second, by rule. docs/findings.md tells what each means.",
        f"sum by (rule) (rate(barewire_findings_total{{{S}}}{RATE})) > 0", "{{rule}}", "ops", width=24, height=8, link=True,
    ),
    "Is it getting better?",
    metric(
        "timeseries", "Mail connections without TLS",
        "Share of the mail connections of an hour that stayed in clear, by protocol. A migration brings the line to 0.",
        f'sum by (protocol) (increase(barewire_sessions_total{{{S},transport="clear"}}[1h]))'
        f" / (sum by (protocol) (increase(barewire_sessions_total{{{S}}}[1h])) > 0)",
        "{{protocol}}", "percentunit", [(GREEN, None), (ORANGE, 0.01), (RED, 0.1)], width=12, height=8,
    ),
    metric(
        "timeseries", "Mail connections, by protection",
        "How mail connections were protected. unknown: not enough was captured to say so.",
        f"sum by (transport) (rate(barewire_sessions_total{{{S}}}{RATE}))", "{{transport}}", "cps", width=12, height=8,
        colors=PROTECTION,
    ),
    "Do records arrive?",
    metric(
        "timeseries", "Oldest unconfirmed record",
        "Age of the oldest record that waits for a receiver. From a quarter of an hour on BarewireSinkStalled.",
        f"time() - barewire_sink_oldest_unacked_timestamp_seconds{{{S}}}",
        "{{instance}} {{sink}}", "s", [(GREEN, None), (ORANGE, 60), (RED, 900)], width=8, height=7,
    ),
    metric(
        "timeseries", "Spools",
        "How full the spools are. From four fifths on BarewireSpoolNearlyFull; when one is full records are lost.",
        f"barewire_sink_spool_bytes{{{S}}} / barewire_sink_spool_limit_bytes{{{S}}}",
        "{{instance}} {{sink}}", "percentunit", [(GREEN, None), (ORANGE, 0.5), (RED, 0.8)], width=8, height=7,
    ),
    metric(
        "stat", "Records lost or refused, 24 h",
        "Records of the last day that no receiver has: lost, or refused for good and kept in dead-letter.ndjson.",
        f'round(sum(increase(barewire_sink_events_total{{{S},result=~"failed|refused"}}[24h])))',
        steps=NONE_ALLOWED, width=8, height=7,
    ),
    metric(
        "timeseries", "Records, by result", "What became of records. duplicate: the receiver had it before, which is harmless.",
        f"sum by (sink, result) (rate(barewire_sink_events_total{{{S}}}{RATE}))", "{{sink}} {{result}}", "ops", width=6, height=7,
    ),
    metric(
        "timeseries", "Failed attempts",
        "Attempts to deliver that failed and are made again. Without deliveries between them BarewireSinkDown.",
        f"sum by (sink) (rate(barewire_sink_retries_total{{{S}}}{RATE}))", "{{sink}}", "ops", width=6, height=7,
    ),
    metric(
        "timeseries", "From packet to record",
        "Nine records in ten are written so long after their packets, at most. From half a minute on BarewireRecordsLate.",
        f"histogram_quantile(0.9, sum by (instance, le) (rate(barewire_record_delay_seconds_bucket{{{S}}}{RATE})))",
        "{{instance}}", "s", [(GREEN, None), (ORANGE, 1), (RED, 30)], width=6, height=7,
    ),
    metric(
        "timeseries", "From record to confirmation",
        "Nine records in ten are confirmed by the receiver within so long, at most. Empty where no receiver has confirmed any.",
        f"histogram_quantile(0.9, sum by (sink, le) (rate(barewire_sink_delivery_seconds_bucket{{{S}}}{RATE})))",
        "{{sink}}", "s", [(GREEN, None), (ORANGE, 10), (RED, 60)], width=6, height=7,
    ),
]

# --- panels of records --------------------------------------------------------------------------

RECORDS = [("event.module", ["barewire"])]
FINDINGS = [("event.dataset", ["barewire.finding"])]
LOGINS = [("event.dataset", ["barewire.login"])]
SESSIONS = [("event.dataset", ["barewire.session"])]
EXPOSED = FINDINGS + [("event.action", ["cleartext-password", "cleartext-bearer-token"])]
# A finding that is told again with its count is another document with the same event.id.
ONCE = "event.id"


def record(key, kind, title, description, where, by=(), distinct=None, over=None, latest=False, steps=PLAIN, width=6, height=5,
           columns=(), host=False, colors=()):
    """`by`: fields whose values are told apart. `distinct`: values of this field are counted, not records. `over`: the time
    of a histogram. `latest`: the last `@timestamp` beside each number. `columns`: of single records. `host`: told apart as well where the store knows who sends."""
    return dict(locals())


RECORD_PANELS = [
    "Is the sensor seeing?",
    record(
        "sensors", "table", "Records, by the sensor's version", "All records by the version that wrote them, and the time of the "
        "latest packet. Without a later one nothing was found, or nothing is seen: the metrics tell which.",
        RECORDS, by=["observer.version"], host=True, latest=True, width=8, height=6,
    ),
    record(
        "unseen", "table", "What was not seen or is not sure", "Findings about the capture itself: mail of which packets are missing, "
        "of which only one direction is mirrored, or that two ends may have read differently.",
        FINDINGS + [("rule.category", ["quality"])], by=["event.action"], distinct=ONCE, latest=True, width=8, height=6,
    ),
    record(
        "coverage", "table", "Coverage", "Mail connections by what is missing from their capture; complete: nothing. Empty without "
        "records of sessions.", SESSIONS, by=["barewire.coverage"], width=8, height=6,
    ),
    "What is exposed?",
    record(
        "accounts", "stat", "Accounts exposed", "Different accounts whose password or token passed in clear, whatever the server "
        "made of it.", EXPOSED, distinct="user.name", steps=NONE_ALLOWED,
    ),
    record(
        "accepted", "stat", "Exposures that work", "Different exposures of a password or token that the server accepted: each "
        "needs another password after its client is moved to TLS.",
        EXPOSED + [("event.outcome", ["success"])], distinct=ONCE, steps=NONE_ALLOWED,
    ),
    record(
        "accepting-servers", "stat", "Servers that accept passwords in clear", "Different addresses of servers that took a "
        "password without TLS. The setting that refuses it is named in barewire.remediation.",
        FINDINGS + [("event.action", ["server-accepts-cleartext-auth"])], distinct="server.ip", steps=NONE_ALLOWED,
    ),
    record(
        "interfered", "stat", "STARTTLS interfered with", "Different findings of offers removed, or of commands or replies put "
        "before TLS.", FINDINGS + [("event.action", ["starttls-stripped", "starttls-command-injection", "starttls-response-injection"])],
        distinct=ONCE, steps=NONE_ALLOWED,
    ),
    record(
        "severities", "bars", "Findings by severity", "Different findings over time, by severity.", FINDINGS,
        by=["barewire.severity"], distinct=ONCE, over="@timestamp", width=12, height=8, colors=SEVERITIES,
    ),
    record(
        "rules", "table", "Findings by rule", "Different findings of each rule, and when it was last seen. docs/findings.md tells "
        "what each means and what to do.", FINDINGS, by=["event.action"], distinct=ONCE, latest=True, width=12, height=8,
    ),
    "Who and where?",
    record(
        "top-accounts", "table", "Accounts", "Accounts by how many different exposures they have, and when they were last seen. "
        "Names are as the client gave them, so somebody may have typed a password there.",
        EXPOSED, by=["user.name"], distinct=ONCE, latest=True, width=7, height=9,
    ),
    record(
        "top-servers", "table", "Servers", "Servers and ports by how many accounts were exposed to them: with which to begin.",
        EXPOSED, by=["server.ip", "server.port"], distinct="user.name", latest=True, width=10, height=9,
    ),
    record(
        "top-clients", "table", "Clients", "Clients by how many accounts they exposed. One with many is a web mailer, a gateway, or "
        "somebody who guesses.", EXPOSED, by=["source.ip"], distinct="user.name", latest=True, width=7, height=9,
    ),
    record(
        "pairs", "table", "Clients and servers", "Which client exposed accounts to which server.", EXPOSED,
        by=["source.ip", "server.ip"], distinct=ONCE, width=8, height=9,
    ),
    record(
        "mechanisms", "table", "Mechanisms", "Mechanisms by which passwords and tokens were disclosed, by different exposures.",
        EXPOSED, by=["barewire.login.mechanism"], distinct=ONCE, width=8, height=9,
    ),
    record(
        "protocols", "table", "Protocols", "Protocols in which passwords and tokens were disclosed, by different exposures.",
        EXPOSED, by=["network.protocol"], distinct=ONCE, width=8, height=9,
    ),
    "Why, and is it getting better?",
    record(
        "transport", "table", "What is wrong with TLS", "Findings about the protection of connections: not offered, offered and "
        "unused, refused, removed, deprecated.", FINDINGS + [("rule.category", ["transport"])],
        by=["event.action", "server.ip"], distinct=ONCE, latest=True, width=12, height=9,
    ),
    record(
        "first-seen", "bars", "Exposures by when they were first seen", "Each exposure once, at the time of its first packet. Bars "
        "on the right are new ones.", EXPOSED, by=["network.protocol"], distinct=ONCE, over="barewire.first_seen", width=12, height=9,
    ),
    record(
        "log", "log", "Findings", "The findings themselves, newest first; barewire.conversation joins those of one connection.",
        FINDINGS, width=24, height=10,
        columns=["barewire.severity", "event.action", "network.protocol", "user.name", "source.ip", "server.ip", "server.port",
                 "event.outcome", "barewire.conversation", "message"],
    ),
    "Logins and sessions (with --records findings,logins,sessions)",
    record(
        "outcomes", "bars", "Logins by outcome", "Login attempts in clear over time, by what the server made of them. Empty without "
        "records of logins.", LOGINS, by=["barewire.login.outcome"], over="@timestamp", width=12, height=8, colors=OUTCOMES,
    ),
    record(
        "protection", "bars", "Mail connections, by whether they have TLS", "Mail connections over time: true with TLS, false without. "
        "A migration ends the latter. Empty without records of sessions.",
        SESSIONS, by=["tls.established"], over="@timestamp", width=12, height=8, colors=ESTABLISHED,
    ),
    record(
        "reuse", "table", "One secret, several accounts", "Keyed fingerprints of secrets by how many accounts they are used for. "
        "Fingerprints are equal under one key only (--fingerprint-key).", LOGINS, by=["barewire.login.fingerprint"],
        distinct="user.name", latest=True, width=8, height=8,
    ),
    record(
        "versions", "table", "Versions of TLS", "Mail connections by the version of TLS that the server chose.", SESSIONS,
        by=["tls.version_protocol", "tls.version"], width=8, height=8,
    ),
    record(
        "software", "table", "Servers' software", "Mail connections by the software that the server shows itself to be.", SESSIONS,
        by=["barewire.server.software"], width=8, height=8,
    ),
    record(
        "login-log", "log", "Logins", "The login attempts themselves. network.community_id is the same in Zeek, Suricata and Arkime.",
        LOGINS, width=24, height=10,
        columns=["barewire.login.outcome", "network.protocol", "user.name", "barewire.login.mechanism", "source.ip", "server.ip",
                 "server.port", "network.community_id"],
    ),
]

# At most so many values of a field in a table; a store holds as many rows for a request.
ROWS = 50


# One word for each field that is a column.
COLUMNS = {
    "barewire.conversation": "conversation",
    "barewire.coverage": "coverage",
    "barewire.login.fingerprint": "fingerprint",
    "barewire.login.mechanism": "mechanism",
    "barewire.login.outcome": "outcome",
    "barewire.server.software": "software",
    "barewire.severity": "severity",
    "event.action": "finding",
    "event.outcome": "outcome",
    "message": "message",
    "network.community_id": "community_id",
    "network.protocol": "protocol",
    "observer.version": "version",
    "server.ip": "server",
    "server.port": "port",
    "source.ip": "client",
    "tls.version": "version",
    "tls.version_protocol": "family",
    "user.name": "account",
}
COUNTED = {ONCE: "findings", "user.name": "accounts", "server.ip": "servers"}


def counted(panel):
    """What the numbers of a table are."""
    return COUNTED.get(panel["distinct"], "connections" if panel["where"] == SESSIONS else "records")


def one_of(values, join):
    quoted = [f'"{value}"' for value in values]
    return quoted[0] if len(quoted) == 1 else f"({join.join(quoted)})"


def flow(panels, columns, scale=1, header=1):
    """Each panel with its place, from left to right, then below. A text is the head of a row."""
    x = y = tallest = 0
    for panel in panels:
        if isinstance(panel, str):
            y, x, tallest = y + tallest, 0, 0
            yield panel, {"x": 0, "y": y, "w": columns, "h": header}
            y += header
            continue
        width, height = panel["width"] * scale, panel["height"] * scale
        if x + width > columns:
            y, x, tallest = y + tallest, 0, 0
        yield panel, {"x": x, "y": y, "w": width, "h": height}
        x, tallest = x + width, max(tallest, height)
