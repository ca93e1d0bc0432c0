-- What each sensor tells that no other does, and when it told something last. One that sees nothing of its own has a tap too
-- many; one whose last record is old is dead, blind, or on a quiet wire: metrics tell which.
WITH seen AS (
    SELECT event_id, dataset, min(sensor) AS one, count(DISTINCT sensor) AS sensors
    FROM records
    WHERE dataset IN ('barewire.login', 'barewire.session')
    GROUP BY event_id, dataset
)
SELECT
    records.sensor,
    count(DISTINCT records.event_id) AS records,
    count(DISTINCT records.event_id) FILTER (WHERE seen.sensors = 1) AS of_its_own,
    max(records.time) AS last
FROM records LEFT JOIN seen USING (event_id, dataset)
WHERE records.dataset IN ('barewire.login', 'barewire.session')
GROUP BY records.sensor
ORDER BY records.sensor;
