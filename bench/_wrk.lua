-- The requests that wrk sends, and the check of every response. `_wrk.py` writes the file that `init` reads.
--
-- wrk does not say which connection asks for its next request. That is not needed: there are as many clients as
-- connections, so whenever a connection asks, one client has no request under way. Tokens wait in `free` until then.

local given, free, at = nil, {}, 0
local has_begun = false
failure = ""

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    given = dofile(arguments[1])
    for _, token in ipairs(given.tokens) do
        table.insert(free, token)
    end
end

local function next_token()
    if given.rotates then
        if not has_begun then -- wrk asks once more before it connects, and sends nothing
            has_begun = true
            return free[#free]
        end
        return table.remove(free)
    end
    at = at % #given.tokens + 1
    return given.tokens[at]
end

function request()
    local token = next_token() or ""
    if given.body == "" then
        return given.head .. token .. "\r\n\r\n"
    end
    local body = string.gsub(given.body, "TOKEN", token)
    return given.head .. "content-length: " .. #body .. "\r\n\r\n" .. body
end

function response(status, headers, body)
    local found = string.match(body, given.pattern)
    if status ~= 200 or found == nil then
        failure = status .. " " .. body
        wrk.thread:stop()
    elseif given.rotates then
        table.insert(free, found)
    end
end

function done(summary, latency, requests)
    for _, thread in ipairs(threads) do
        if thread:get("failure") ~= "" then
            print("failed " .. thread:get("failure"))
            return
        end
    end
    local errors = summary.errors
    if errors.connect + errors.read + errors.write + errors.timeout > 0 then
        print("failed connections were lost or timed out")
        return
    end
    print("measured " .. summary.requests .. " " .. summary.duration .. " " .. latency:percentile(50) .. " " .. latency:percentile(99))
end
