-- GETs of random keys of bench/scale.py:
-- wrk -s scale_get.lua URL -- KEYS SEED [absent]
local keys, ending

function init(args)
    keys = tonumber(args[1])
    math.randomseed(tonumber(args[2]))
    ending = args[3] and "-" .. args[3] or ""
end

function request()
    local number = math.random(0, keys - 1)
    local scattered = (number * 387420489) % 4294967296
    return wrk.format("GET", string.format("/kv/user/%08x", scattered) ..
        ending)
end

function done(summary, latency, requests)
    io.write(string.format(
        '{"requests":%d,"us":%d,"status_errors":%d,"socket_errors":%d,' ..
        '"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, summary.errors.status,
        summary.errors.connect + summary.errors.read + summary.errors.write +
        summary.errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
