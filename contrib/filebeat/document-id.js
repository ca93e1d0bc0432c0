// A finding that is told again has the event.id it had, and its count: the last occurrence makes the difference, so that
// the latest count is stored beside the first and a resend is not. The sensor's own names are the same.
// ECMAScript 5.1, which is what Filebeat runs.
function process(event) {
    var id = event.Get("event.id");
    if (event.Get("barewire.count") > 1) {
        id += "-" + event.Get("barewire.last_seen").substring(0, 19).replace(/[^0-9A-Za-z]/g, "");
    }
    event.Put("@metadata._id", id);
}
