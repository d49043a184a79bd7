-- What wrk sends, and how it says what it saw. At full speed nothing here runs per request: wrk asks
-- `request`, `response` and `delay` of a script only where there are such functions.
wrk.method = "@method@"
wrk.headers["x-tenant-id"] = "acme"
#@ if close
wrk.headers["connection"] = "close"
#@ end
#@ if body
wrk.body = string.rep("x", @length@)
#@ end
#@ if paced

-- Requests are due at times that are evenly spread; each connection takes the next one as it becomes free, and one that is late
-- sends at once, so that the rate holds. wrk asks `delay` for milliseconds before each request.
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds; long nanoseconds; } moment; int clock_gettime(int clock, moment *now);")
local moment = ffi.new("moment")
local due

function delay()
    ffi.C.clock_gettime(1, moment) -- CLOCK_MONOTONIC
    local now = tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
    due = due and due + @interval@ or now
    return math.max(0, math.floor(due - now + 0.5))
end
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
