-- What wrk sends: requests that bench/wrk.py wrote to a file beforehand, in
-- random order, so that nothing but a table look-up is done while measuring.
-- Arguments: the file, and a seed that differs from run to run.

local requests = {}
local count = 0
local random = math.random

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for length in file:lines() do
        count = count + 1
        requests[count] = file:read(tonumber(length))
    end
    file:close()
    math.randomseed(tonumber(args[2]))
end

function request()
    return requests[random(count)]
end

-- One line that wrk.py finds: all times are in microseconds.
function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"bytes":%d,' ..
        '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,' ..
        '"mean":%.1f,"max":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d}\n',
        summary.requests, summary.duration, summary.bytes,
        e.connect, e.read, e.write, e.timeout, e.status,
        latency.mean, latency.max, latency:percentile(50),
        latency:percentile(90), latency:percentile(99),
        latency:percentile(99.9)))
end
