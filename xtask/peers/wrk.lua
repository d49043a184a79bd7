-- What wrk sends, and how it says what it saw. Nothing here runs per request: wrk asks `request` and `response` of a script
-- only where there are such functions.
wrk.method = "@method@"
wrk.headers["x-tenant-id"] = "acme"
#@ if close
wrk.headers["connection"] = "close"
#@ end
#@ if body
wrk.body = string.rep("x", @length@)
#@ end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d, "failed": %d}\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
