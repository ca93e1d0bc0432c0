"""The list of all checks: receiver, how it is checked, and what is not run."""

import collections

from . import fields, others, sigma, syslog

Part = collections.namedtuple("Part", "name receiver how not_run check")

STAND_IN = "Elasticsearch and OpenSearch themselves"
PARTS = [
    Part("fields", "all", "names held against the schema", "", fields.names),
    Part("rsyslog-syntax", "rsyslog", "rsyslogd -N1", "", syslog.rsyslog_syntax),
    Part("rsyslog-tcp", "rsyslog, TCP", "round trip", STAND_IN, syslog.rsyslog_tcp),
    Part("rsyslog-away", "rsyslog, queue on disk", "round trip", STAND_IN, syslog.rsyslog_away),
    Part("rsyslog-tls", "rsyslog, TLS", "round trip", "", syslog.rsyslog_tls),
    Part("rsyslog-relp", "rsyslog, RELP", "round trip", "", syslog.rsyslog_relp),
    Part("rsyslog-file", "rsyslog, file", "five rotations", "copytruncate", syslog.rsyslog_file),
    Part("syslog-ng", "syslog-ng, TCP and TLS", "round trip", STAND_IN, syslog.syslog_ng),
    Part("vector", "Vector", "its VRL compiled and run", "sources, sinks", others.vector),
    Part("logstash", "Logstash", "grammar", "Logstash", others.logstash),
    Part("filebeat", "Filebeat", "YAML; its script run", "Filebeat", others.filebeat),
    Part("fluent-bit", "Fluent Bit", "form; its script run", "Fluent Bit", others.fluent_bit),
    Part("wazuh", "Wazuh", "XML; fields resolved in records", "Wazuh", others.wazuh),
    Part("splunk", "Splunk", "appinspect; expressions tried on records", "Splunk", others.splunk),
    Part("sentinel", "Microsoft Sentinel", "columns held against the schema", "Azure", others.sentinel),
    Part("sigma-check", "Sigma", "sigma check", "tags of ATT&CK", sigma.check),
    Part("sigma-convert", "Sigma", "converted for six targets", "", sigma.convert),
    Part("queries", "Sentinel, Sigma", "KQL and LogQL by their vendors' parsers", "Sentinel, Loki", sigma.parsed),
    Part("sigma-run", "Sigma", "run on a stand-in for OpenSearch", "ES|QL, SPL, KQL, LogQL", sigma.executed),
    Part("sigma-correlation", "Sigma", "counted over the records", "any engine", sigma.correlation),
]
