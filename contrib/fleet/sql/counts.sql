-- How much there is once each record counts once. A finding that is told again counts as often as it says last.
SELECT
    dataset,
    count(*) AS rows,
    count(DISTINCT event_id) AS records,
    count(DISTINCT sensor) AS sensors
FROM records
GROUP BY dataset
ORDER BY dataset;
