-- One connection with the offer of STARTTLS for one sensor and without it for another, both begun within a minute: what
-- `barewire correlate` tells as starttls-stripped, confirmed.
SELECT
    protocol,
    conversation,
    min(start) FILTER (WHERE offer = 'not-offered') AS start,
    arg_min(server_ip, start) FILTER (WHERE offer = 'not-offered') AS server_ip,
    list_sort(list(DISTINCT sensor) FILTER (WHERE offer = 'offered')) AS offered_at,
    list_sort(list(DISTINCT sensor) FILTER (WHERE offer = 'not-offered')) AS missing_at
FROM records
WHERE dataset = 'barewire.session' AND conversation IS NOT NULL AND offer IN ('offered', 'not-offered')
GROUP BY protocol, conversation
HAVING count(DISTINCT offer) = 2
   AND abs(epoch(min(start) FILTER (WHERE offer = 'offered')) - epoch(min(start) FILTER (WHERE offer = 'not-offered'))) <= 60
ORDER BY start;
