-- For wrk: sends the requests of the file named by TONG_SCANS, in order, each once (from the beginning again when they
-- run out; the caller sees that by the number of requests). One thread only: each wrk thread would read its own copy.

local file = assert(io.open(os.getenv("TONG_SCANS"), "rb"))
local content = file:read("*a")
file:close()

local requests, count, from = {}, 0, 1
while true do
  local at, till = string.find(content, "\n\0\n", from, true)
  count = count + 1
  requests[count] = string.sub(content, from, at and at - 1 or #content)
  if not at then break end
  from = till + 1
end
content = nil

local position = 0
function request()
  position = position + 1
  if position > count then position = 1 end
  return requests[position]
end

-- With TONG_CONNECTIONS and TONG_RATE the connections wait between their requests (wrk asks `delay` for milliseconds), a
-- random time around what brings all of them together to the rate, so that they do not march in step.
local rate = tonumber(os.getenv("TONG_RATE") or 0)
if rate > 0 then
  local mean = tonumber(os.getenv("TONG_CONNECTIONS")) / rate * 1000
  math.randomseed(20261122)
  function delay()
    return math.random() * 2 * mean
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "\n@@{\"requests\":%d,\"duration_us\":%d,\"status\":%d,\"connect\":%d,\"read\":%d,\"write\":%d,\"timeout\":%d,"
      .. "\"p50\":%g,\"p95\":%g,\"p99\":%g,\"p999\":%g,\"max\":%g}\n",
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99), latency:percentile(99.9), latency.max))
end
