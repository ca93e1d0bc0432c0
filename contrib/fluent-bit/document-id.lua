-- A finding that is told again has the event.id it had, and its count: the last occurrence makes the difference, so that
-- the latest count is stored beside the first and a resend is not. The sensor's own names are the same.
function document_id(tag, timestamp, record)
    local event, own = record["event"], record["barewire"]
    if type(event) ~= "table" or type(event["id"]) ~= "string" or type(own) ~= "table" then
        return -1, timestamp, record -- not barewire's: left out
    end
    local id = event["id"]
    if (own["count"] or 1) > 1 then
        id = id .. "-" .. own["last_seen"]:sub(1, 19):gsub("[^0-9A-Za-z]", "")
    end
    record["document_id"] = id
    return 2, timestamp, record -- the time stays as it is
end
