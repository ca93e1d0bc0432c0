-- Records as sensors write them, plain or compressed. Before it: SET VARIABLE files = 'sensors/*.ndjson*';
CREATE OR REPLACE VIEW records AS
SELECT
    try_cast(json ->> '$."@timestamp"' AS TIMESTAMPTZ) AS time,
    try_cast(json ->> '$.event.start' AS TIMESTAMPTZ) AS start,
    json ->> '$.event.id' AS event_id,
    json ->> '$.event.dataset' AS dataset,
    json ->> '$.event.action' AS action,
    json ->> '$.observer.name' AS sensor,
    try_cast(json ->> '$.event.severity' AS BIGINT) AS severity,
    json ->> '$.barewire.confidence' AS confidence,
    try_cast(json ->> '$.barewire.count' AS BIGINT) AS count,
    json ->> '$.network.protocol' AS protocol,
    json ->> '$.server.ip' AS server_ip,
    try_cast(json ->> '$.server.port' AS BIGINT) AS server_port,
    json ->> '$.client.ip' AS client_ip,
    json ->> '$.user.name' AS user_name,
    json ->> '$.barewire.login.outcome' AS outcome,
    try_cast(json ->> '$.barewire.login.ambiguous' AS BOOLEAN) AS ambiguous,
    json ->> '$.barewire.login.context' AS context,
    json ->> '$.barewire.login.fingerprint' AS fingerprint,
    json ->> '$.barewire.conversation' AS conversation,
    json ->> '$.barewire.starttls.offer' AS offer
FROM read_ndjson_objects(getvariable('files'));
