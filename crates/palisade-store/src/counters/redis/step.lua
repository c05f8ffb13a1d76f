-- The pure step of palisade-core (`charge/step.rs`), where the counters are: reads all, decides,
-- writes all or nothing. Names are those of the Rust code.
--
-- Numbers are doubles, exact up to 2^53. An instant is therefore two of them, whole seconds and
-- nanoseconds; a duration is nanoseconds, at most twice 31 days, which is 5.4e15. What could be more
-- is cut to CAP before it is added.
--
-- ARGV: mode, now (seconds, nanoseconds; -1 for the server's own TIME), slack (ms that a key outlives
-- its meaning), life of a slot (ms), ticket, number of charges, number of bans, then
--   a charge: place of its counter in KEYS, kind, x, y, amount, life (s, 0 if nothing is reserved)
--     rate: x = nanoseconds of a unit, y = of the burst; quota: x = count, y = calendar; slots: x = how many
--   a ban: first, end, after, within (ns), number of lengths, lengths (s)
-- KEYS: the counters, each once, then the bans.
-- Answer: now (seconds, nanoseconds), 1 if made, for each charge fit, remaining, nanoseconds to the next
-- unit (-1: none), nanoseconds to wait, and in `look` what is reserved; for each ban a code and nanoseconds.

local CAP = 9007199254740992
local SECOND = 1000000000
local FORGET = 604800 * SECOND
local RATE, QUOTA, SLOTS = 0, 1, 2
local FITS, SPENT, RESERVED = 0, 1, 2
local HELD_WAIT = SECOND

local place = 0
local function word() place = place + 1 return ARGV[place] end
local function number() return tonumber(word()) end

local mode = word()
local now = { number(), number() }
if now[1] < 0 then
  local time = redis.call('TIME')
  now = { tonumber(time[1]), tonumber(time[2]) * 1000 }
end
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000000)
local slack, slot_life, ticket = number(), number(), word()
local charge_count, ban_count = number(), number()

local function div(a, b) return (a - math.fmod(a, b)) / b end
local function times(a, b) return math.min(a * b, CAP) end
-- Only its sign is exact beyond 104 days, and nothing else is asked of it there.
local function since(later, earlier)
  return math.max((later[1] - earlier[1]) * SECOND + (later[2] - earlier[2]), 0)
end
local function plus(instant, ns)
  local rest = instant[2] + math.fmod(ns, SECOND)
  return { instant[1] + div(ns, SECOND) + div(rest, SECOND), math.fmod(rest, SECOND) }
end

-- Days since the epoch: first day and length of a month, from March on.
local function is_leap(year)
  return math.fmod(year, 4) == 0 and (math.fmod(year, 100) ~= 0 or math.fmod(year, 400) == 0)
end
local function month(day)
  local of_era = math.fmod(day + 719468, 146097)
  local year = div(of_era - div(of_era, 1460) + div(of_era, 36524) - div(of_era, 146096), 365)
  local of_year = of_era - (365 * year + div(year, 4) - div(year, 100))
  local number = div(5 * of_year + 2, 153)
  local start = div(153 * number + 2, 5)
  local length
  if number == 11 then
    length = is_leap(year + 1) and 29 or 28
  else
    length = div(153 * (number + 1) + 2, 5) - start
  end
  return day - (of_year - start), length
end

-- End of the window that now is in, in minutes since the epoch.
local function window_end(calendar)
  local minute = div(now[1], 60)
  local day = div(minute, 1440)
  if calendar == 0 then return minute + 1 end
  if calendar == 1 then return minute - math.fmod(minute, 60) + 60 end
  if calendar == 2 then return (day + 1) * 1440 end
  if calendar == 3 then return (div(day + 3, 7) * 7 + 4) * 1440 end
  local start, length = month(day)
  return (start + length) * 1440
end

-- What is kept: a kind, three numbers of the cell (rate: seconds and nanoseconds of the melt-off;
-- quota: end in minutes, count, calendar), then epoch, current, previous and life of what is reserved.
local function load(key, charge)
  local state = { kind = charge.kind, 0, 0, 0, 0, 0, 0, 0 }
  if charge.kind == SLOTS then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now_ms)
    state[5] = redis.call('ZCARD', key)
    return state
  end
  local kept = redis.call('GET', key)
  if not kept then return state end
  local kind, a, b, c, d, e, f, g = string.match(kept, '^(%d) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not kind then error('PALISADE a counter can not be read') end
  state[4], state[5], state[6], state[7] = tonumber(d), tonumber(e), tonumber(f), tonumber(g)
  if tonumber(kind) == charge.kind then state[1], state[2], state[3] = tonumber(a), tonumber(b), tonumber(c) end
  return state
end

local function copy(state)
  return { kind = state.kind, unpack(state) }
end

local function window_used(charge, state)
  local last = window_end(charge.y)
  if state[1] == 0 then return last, 0 end
  -- The clock was set back: the later window goes on.
  if state[3] == charge.y and state[1] >= last then return state[1], state[2] end
  -- A longer window was configured: what was used in a part of it stays used. Of a longer one before
  -- nobody knows what belongs to this one.
  if state[3] < charge.y and state[1] * 60 > now[1] then return last, state[2] end
  return last, 0
end

local function spend(charge, state, units, at)
  if units == 0 then return end
  if charge.kind == RATE then
    local debt = math.min(since(state, at), charge.y * 2)
    local max = charge.life > 0 and charge.y * 2 or charge.y
    local melt = plus(at, math.min(debt + times(charge.x, units), max))
    state[1], state[2] = melt[1], melt[2]
  elseif charge.kind == QUOTA then
    local last, count = window_used(charge, state)
    state[1], state[2], state[3] = last, math.min(count + units, math.min(charge.x * 2, 4294967295)), charge.y
  end
end

-- Spends the reservations whose life is over. What was reserved for another life begins a new one.
local function lapse(charge, state)
  if charge.life == 0 or charge.kind == SLOTS then return end
  local epoch = div(now[1], charge.life)
  if state[7] ~= charge.life then
    state[4], state[5], state[6], state[7] = epoch, state[5] + state[6], 0, charge.life
  end
  local known, current, previous = state[4], state[5], state[6]
  local passed = epoch - known
  if passed <= 0 then return end
  state[4], state[5], state[6] = epoch, 0, passed == 1 and current or 0
  spend(charge, state, previous, { (known + 1) * charge.life, 0 })
  if passed > 1 then spend(charge, state, current, { (known + 2) * charge.life, 0 }) end
end

-- Cuts a bucket that owes more than it may, because its rate was another one. Tells whether it did.
local function cut(charge, state)
  local max = charge.life > 0 and charge.y * 2 or charge.y
  if charge.kind ~= RATE or since(state, now) <= max then return false end
  local melt = plus(now, max)
  state[1], state[2] = melt[1], melt[2]
  return true
end

-- Fit, remaining, next unit (-1: none), wait.
local function decide(charge, state, amount)
  local pending = state[5] + state[6]
  if charge.kind == RATE then
    local unit, full = charge.x, charge.y
    cut(charge, state)
    local debt = since(state, now)
    local reserved, cost = times(unit, pending), times(unit, amount)
    local spent = debt + cost
    local fit = spent > full and SPENT or spent + reserved > full and RESERVED or FITS
    local taken = debt + reserved + (fit == FITS and cost or 0)
    local remaining = div(math.max(full - taken, 0), unit)
    local next_unit = taken > 0 and math.max(taken + (remaining + 1) * unit - full, 0) or -1
    return { fit, remaining, math.min(next_unit, CAP), fit == FITS and 0 or fit == SPENT and spent - full or HELD_WAIT }
  elseif charge.kind == QUOTA then
    local last, count = window_used(charge, state)
    local spent = count + amount
    local fit = spent > charge.x and SPENT or spent + pending > charge.x and RESERVED or FITS
    local taken = count + pending + (fit == FITS and amount or 0)
    local ends = since({ last * 60, 0 }, now)
    return { fit, math.max(charge.x - taken, 0), ends, fit == FITS and 0 or fit == SPENT and ends or HELD_WAIT }
  end
  local fits = pending + amount <= charge.x
  local left = math.max(charge.x - (fits and pending + amount or pending), 0)
  return { fits and FITS or SPENT, left, -1, fits and 0 or HELD_WAIT }
end

local function make(charge, state)
  if charge.life > 0 or charge.kind == SLOTS then
    state[5] = state[5] + charge.amount
  else
    spend(charge, state, charge.amount, now)
  end
end

-- So long that what is reserved can lapse and melt before it is forgotten.
local function save(key, charge, state)
  local ns, pending = 0, state[5] + state[6]
  local lapses = pending > 0 and since({ (state[4] + 2) * state[7], 0 }, now) or 0
  if charge.kind == RATE then
    ns = since(state, now) + lapses + math.min(times(charge.x, pending), charge.y)
  else
    ns = math.max(since({ state[1] * 60, 0 }, now), lapses)
  end
  local kept = string.format('%d %.0f %.0f %.0f %.0f %.0f %.0f %.0f', charge.kind, unpack(state))
  redis.call('SET', key, kept, 'PX', string.format('%.0f', math.ceil(math.min(ns, CAP) / 1000000) + slack))
end

local charges, order = {}, {}
for i = 1, charge_count do
  local charge = { key = number(), kind = number(), x = number(), y = number(), amount = number(), life = number() }
  charges[i] = charge
end
local bans = {}
for i = 1, ban_count do
  local ban = { first = number(), last = number(), after = number(), within = number() }
  for j = 1, number() do ban[j] = number() end
  bans[i] = ban
end

-- Every counter once, as the first of its charges reads it.
local states, writer = {}, {}
for _, charge in ipairs(charges) do
  if not states[charge.key] then
    states[charge.key] = load(KEYS[charge.key], charge)
    writer[charge.key] = charge
    order[#order + 1] = charge.key
  end
end

if mode == 'settle' then
  local charge, taken, used = charges[1], number(), number()
  local key, state = KEYS[charge.key], states[charge.key]
  if charge.kind == SLOTS then
    local released, unit = 0, 1
    while released < charge.amount and unit <= 128 * charge.amount do
      released = released + redis.call('ZREM', key, ticket .. ':' .. unit)
      unit = unit + 1
    end
    return {}
  end
  lapse(charge, state)
  local age, rest = state[4] - div(taken, charge.life), charge.amount
  if age <= 1 then
    local own = age <= 0 and 5 or 6
    -- What was reserved for another life is in the epoch after its own.
    for _, at in ipairs({ own, 11 - own }) do
      local found = math.min(rest, state[at])
      state[at], rest = state[at] - found, rest - found
    end
  end
  -- What has lapsed is spent already.
  spend(charge, state, math.max(used - rest, 0), now)
  save(key, charge, state)
  return {}
end

local ban_keys = #KEYS - ban_count
if mode == 'reset' then
  for _, key in ipairs(order) do
    local charge, state = writer[key], states[key]
    if charge.kind ~= SLOTS then
      if state[5] + state[6] == 0 then
        redis.call('DEL', KEYS[key])
      else
        state[1], state[2], state[3] = 0, 0, 0
        save(KEYS[key], charge, state)
      end
    end
  end
  for i = 1, ban_count do redis.call('DEL', KEYS[ban_keys + i]) end
  return {}
end

-- Bans: until (seconds, nanoseconds), how many, then the instants of refusals.
local standings, clear = {}, true
for i = 1, ban_count do
  local standing = { 0, 0, 0 }
  local kept = redis.call('GET', KEYS[ban_keys + i])
  if kept then
    local count = 0
    for digits in string.gmatch(kept, '%d+') do
      count = count + 1
      standing[count] = tonumber(digits)
    end
    if count < 3 or math.fmod(count, 2) == 0 then error('PALISADE a ban can not be read') end
  end
  local left = since(standing, now)
  standing.code, standing.ns = left > 0 and 2 or 0, math.min(left, CAP)
  clear = clear and left == 0
  standings[i] = standing
end

local verdicts, admit = {}, clear
local before = {}
for _, key in ipairs(order) do before[key] = copy(states[key]) end
for i, charge in ipairs(charges) do
  if mode == 'look' then
    local state = copy(before[charge.key])
    lapse(charge, state)
    local asked = decide(charge, state, charge.amount)
    verdicts[i] = asked[1] == FITS and decide(charge, state, 0) or asked
    verdicts[i][5] = state[5] + state[6]
  else
    local state = states[charge.key]
    lapse(charge, state)
    verdicts[i] = decide(charge, state, charge.amount)
    if verdicts[i][1] == FITS then make(charge, state) else admit = false end
  end
end

local function strike(ban, standing, key)
  local recent = {}
  for i = 4, #standing, 2 do
    local at = { standing[i], standing[i + 1] }
    if since(now, at) <= ban.within then recent[#recent + 1] = at end
  end
  if #recent + 1 < ban.after then
    recent[#recent + 1] = now
  else
    if since(now, standing) >= FORGET then standing[3] = 0 end
    local length = ban[math.min(standing[3] + 1, #ban)] * SECOND
    local ends = plus(now, length)
    recent = {}
    standing[1], standing[2], standing[3] = ends[1], ends[2], math.min(standing[3] + 1, 255)
    standing.code, standing.ns = 1, length
  end
  local kept = string.format('%.0f %.0f %.0f', standing[1], standing[2], standing[3])
  for _, at in ipairs(recent) do kept = kept .. string.format(' %.0f %.0f', at[1], at[2]) end
  local ns = #recent > 0 and ban.within or 0
  if standing[3] > 0 then ns = math.max(ns, since(plus(standing, FORGET), now)) end
  redis.call('SET', key, kept, 'PX', string.format('%.0f', math.ceil(ns / 1000000) + slack))
end

if mode == 'take' and admit then
  for _, key in ipairs(order) do
    if writer[key].kind ~= SLOTS then save(KEYS[key], writer[key], states[key]) end
  end
  local unit = 0
  for _, charge in ipairs(charges) do
    if charge.kind == SLOTS then
      local key = KEYS[charge.key]
      for _ = 1, charge.amount do
        unit = unit + 1
        redis.call('ZADD', key, string.format('%.0f', now_ms + slot_life), ticket .. ':' .. unit)
      end
      redis.call('PEXPIRE', key, string.format('%.0f', slot_life + slack))
    end
  end
elseif mode == 'take' then
  for i, ban in ipairs(bans) do
    local is_spent = false
    for j = ban.first + 1, ban.last do is_spent = is_spent or verdicts[j] and verdicts[j][1] == SPENT end
    if standings[i].code == 0 and is_spent then strike(ban, standings[i], KEYS[ban_keys + i]) end
  end
  -- A bucket that owes more than it may is cut to that once, though nothing else is written.
  for _, charge in ipairs(charges) do
    if cut(charge, before[charge.key]) then save(KEYS[charge.key], charge, before[charge.key]) end
  end
  -- What would fit is told as it stays: uncharged.
  for i, charge in ipairs(charges) do
    if verdicts[i][1] == FITS then
      local state = before[charge.key]
      lapse(charge, state)
      verdicts[i] = decide(charge, state, 0)
    end
  end
end

local answer = { now[1], now[2], admit and 1 or 0 }
for _, verdict in ipairs(verdicts) do
  for _, number in ipairs(verdict) do answer[#answer + 1] = number end
end
for _, standing in ipairs(standings) do
  answer[#answer + 1] = standing.code
  answer[#answer + 1] = standing.ns
end
return answer
