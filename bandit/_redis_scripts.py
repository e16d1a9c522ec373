"""Steps that a Redis server takes at once, in Lua.

A stored state is a few keys that begin alike: ``head`` (a hash of settings, closed sums and
counters), ``units``, ``users`` and ``wishes`` (hashes by id), ``changes`` (a stream of the keys of
units that changed), and, by user and by session, the keys of their open units.
"""

from __future__ import annotations

from typing import Final

from ._store_wire import OFFSETS
from ._unit import LIVE
from ._wire import KEY_BYTES

# Lua counts from 1.
_USER: Final = OFFSETS["user"] + 1
_SESSION: Final = OFFSETS["session"] + 1
_FLAGS: Final = OFFSETS["flags"] + 1

FOLLOWED: Final = 100_000
"""Changes of units that can be followed one by one; who is further behind loads everything."""

SESSION_SECONDS: Final = 7_200
"""How long a session's index outlives its last change; its units count for an hour."""

_NAMES: Final = """
local prefix = KEYS[1]
local head, units = prefix .. 'head', prefix .. 'units'
local users, wishes = prefix .. 'users', prefix .. 'wishes'
local none = string.rep('\\0', 8)
local function sizes()
  return redis.call('HLEN', units) .. ' ' .. redis.call('HLEN', users) .. ' '
    .. redis.call('HLEN', wishes)
end
local function state(version)
  if (redis.call('HGET', head, 'version') or '0') ~= version then return 'changed' end
  if (redis.call('HGET', head, 'sizes') or '0 0 0') ~= sizes() then return 'lost' end
  return 'ok'
end
"""

CHECK: Final = _NAMES + "return state(ARGV[1])"
"""ARGV: the version read. Tells whether it still holds, and whether the server lost anything."""

COMMIT: Final = (
    _NAMES
    + f"""
local function user_key(value)
  local user = string.sub(value, {_USER}, {_USER + 7})
  if user ~= none then return prefix .. 'user:' .. user end
end
local function session_key(value)
  local session = string.sub(value, {_SESSION}, {_SESSION + 7})
  local live = bit.band(string.byte(value, {_FLAGS}), {LIVE})
  if session ~= none and live ~= 0 then return prefix .. 'session:' .. session end
end

local found = state(ARGV[1])
if found ~= 'ok' then return found end
if ARGV[#ARGV] ~= '' and (redis.call('HGET', head, 'mark') or '') ~= ARGV[#ARGV - 1] then
  return 'changed'
end
local count, first = tonumber(ARGV[5]), 6
for i = first, first + 3 * count - 1, 3 do
  if (redis.call('HGET', units, ARGV[i]) or '') ~= ARGV[i + 1] then return 'changed' end
end

local changed, keys = 0, {{}}
for i = first, first + 3 * count - 1, 3 do
  if ARGV[i + 2] ~= '' then
    changed = changed + 1
    keys[changed] = ARGV[i]
  end
end
local change = redis.call('HINCRBY', head, 'change', changed)
for i = first, first + 3 * count - 1, 3 do
  local key, before, after = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local old_user, new_user, old_session, new_session
  if before ~= '' then old_user, old_session = user_key(before), session_key(before) end
  if after ~= '' then new_user, new_session = user_key(after), session_key(after) end
  if after == '' then redis.call('HDEL', units, key)
  else redis.call('HSET', units, key, after) end
  if old_user and old_user ~= new_user then redis.call('HDEL', old_user, key) end
  if new_user and new_user ~= old_user then redis.call('HSET', new_user, key, '') end
  if old_session and old_session ~= new_session then redis.call('HDEL', old_session, key) end
  if new_session then
    redis.call('HSET', new_session, key, change)
    redis.call('EXPIRE', new_session, {SESSION_SECONDS})
  end
end
if changed > 0 then
  local floor = string.format('%.0f', math.max(change - {FOLLOWED}, 0))
  redis.call('XADD', prefix .. 'changes', 'MINID', floor .. '-0',
             string.format('%.0f-1', change), 'k', table.concat(keys))
end

local i = first + 3 * count
local more = tonumber(ARGV[i])
for j = i + 1, i + 2 * more, 2 do
  if ARGV[j + 1] == '' then redis.call('HDEL', users, ARGV[j])
  else redis.call('HSET', users, ARGV[j], ARGV[j + 1]) end
end
i = i + 1 + 2 * more
more = tonumber(ARGV[i])
for j = i + 1, i + 2 * more, 2 do redis.call('HSET', wishes, ARGV[j], ARGV[j + 1]) end
if ARGV[#ARGV] ~= '' then redis.call('HSET', head, 'mark', ARGV[#ARGV]) end

if ARGV[2] ~= ARGV[1] then redis.call('HSET', head, 'version', ARGV[2]) end
if ARGV[3] ~= '' then redis.call('HSET', head, 'head', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', head, 'closed', ARGV[4]) end
redis.call('HSET', head, 'sizes', sizes())
return 'ok'
"""
)
"""ARGV: the version read, the new one, head, closed, units (key, as read, new), users, wishes,
the mark as read, the new one.

What is absent is an empty text; lists are led by their length.
"""

READ_USER: Final = (
    _NAMES
    + """
local keys, found = redis.call('HKEYS', prefix .. 'user:' .. ARGV[1]), {}
for i, key in ipairs(keys) do found[i] = redis.call('HGET', units, key) end
return {redis.call('HGET', head, 'version'), redis.call('HGET', users, ARGV[1]),
        redis.call('HGET', wishes, ARGV[1]), found}
"""
)

READ_SESSION: Final = (
    _NAMES
    + """
local known, found = redis.call('HGETALL', prefix .. 'session:' .. ARGV[1]), {}
for i = 1, #known, 2 do
  local value = redis.call('HGET', units, known[i])
  if value then
    found[#found + 1] = known[i + 1]
    found[#found + 1] = value
  end
end
return {redis.call('HGET', head, 'version'), found}
"""
)

READ_CHANGES: Final = (
    _NAMES
    + f"""
local now = tonumber(redis.call('HGET', head, 'change') or '0')
if now - tonumber(ARGV[1]) > {FOLLOWED} then return false end
local seen, found = {{}}, {{}}
local entries = redis.call('XRANGE', prefix .. 'changes', '(' .. ARGV[1] .. '-1', '+')
for _, entry in ipairs(entries) do
  local keys = entry[2][2]
  for at = 1, #keys, {KEY_BYTES} do
    local key = string.sub(keys, at, at + {KEY_BYTES - 1})
    local value = not seen[key] and redis.call('HGET', units, key)
    seen[key] = true
    if value then found[#found + 1] = value end
  end
end
return found
"""
)
"""ARGV: the cursor from which on. False where what came since is no longer listed."""

_SNAPSHOTS: Final = """
local texts, ids = KEYS[1] .. 'snapshots', KEYS[1] .. 'snapshot_ids'
local function keep_snapshots(most)
  for _, old in ipairs(redis.call('LRANGE', ids, most, -1)) do redis.call('HDEL', texts, old) end
  if most == 0 then redis.call('DEL', ids) else redis.call('LTRIM', ids, 0, most - 1) end
end
"""

CLEAR: Final = (
    _NAMES
    + _SNAPSHOTS
    + """
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[1] == '0' then redis.call('UNLINK', wishes)
elseif redis.call('HLEN', wishes) > 0 then redis.call('HSET', head, 'sizes', sizes()) end
keep_snapshots(tonumber(ARGV[1]))
return 'ok'
"""
)
"""KEYS: the prefix, the keys to remove. ARGV: 1 where the wishes and one snapshot stay, else 0."""

PUT_SNAPSHOT: Final = (
    _SNAPSHOTS
    + """
redis.call('HSET', texts, ARGV[1], ARGV[2])
redis.call('LREM', ids, 0, ARGV[1])
redis.call('LPUSH', ids, ARGV[1])
keep_snapshots(tonumber(ARGV[3]))
return 'ok'
"""
)
