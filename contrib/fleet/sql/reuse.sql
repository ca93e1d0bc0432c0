-- One secret in several places, whichever sensors saw them: what `barewire correlate` tells as credential-reuse. Fingerprints
-- under different keys are never equal, so secrets under different keys are never compared.
WITH uses AS (
    SELECT
        fingerprint,
        sensor,
        server_ip,
        time,
        format(
            '{}:{} {} {}',
            CASE WHEN contains(server_ip, ':') THEN '[' || server_ip || ']' ELSE server_ip END,
            server_port, protocol, user_name
        ) AS place
    FROM records
    WHERE dataset = 'barewire.login'
      AND fingerprint IS NOT NULL
      AND user_name IS NOT NULL
      -- A rejected secret may be anybody's guess; one that was put in by somebody else or was not read for sure is nobody's.
      AND outcome <> 'rejected'
      AND context IS NULL
      AND ambiguous IS NOT TRUE
)
SELECT
    fingerprint,
    list_sort(list(DISTINCT place)) AS places,
    count(DISTINCT server_ip) AS servers,
    list_sort(list(DISTINCT sensor)) AS sensors,
    max(time) AS last
FROM uses
GROUP BY fingerprint
HAVING count(DISTINCT place) > 1
ORDER BY fingerprint;
