"""Steps that a Redis server takes at once, in Lua.

A stored state is a few keys with one prefix: ``head`` (a hash of settings, closed sums and
counters), ``units``, ``users``, ``queries`` and ``wishes`` (hashes by id; the last are users'
resets), ``served`` (sums of queries as published), ``changes`` (a stream of the keys of units that
changed), and, by user and by session, the keys of their open units. The names of keys and fields
are those of the first version: ``mark`` is the log position.
"""

from __future__ import annotations

from typing import Final

from ..units.record import LIVE
from ..units.stored_rows import KEY_BYTES
from .serialization import OFFSETS

# Lua counts from 1.
_USER: Final = OFFSETS["user"] + 1
_SESSION: Final = OFFSETS["session"] + 1
_FLAGS: Final = OFFSETS["flags"] + 1

MAX_FOLLOWED_CHANGES: Final = 100_000
"""Changes of units that can be followed one by one; a replica further behind loads everything."""

SESSION_SECONDS: Final = 7_200
"""How long a session's index outlives its last change; its units count for an hour."""

_NAMES: Final = """
local prefix = KEYS[1]
local head, units = prefix .. 'head', prefix .. 'units'
local users, resets = prefix .. 'users', prefix .. 'wishes'
local queries, served = prefix .. 'queries', prefix .. 'served'
local none = string.rep('\\0', 8)
local function sizes()
  local found = redis.call('HLEN', units) .. ' ' .. redis.call('HLEN', users) .. ' '
    .. redis.call('HLEN', resets)
  local count = redis.call('HLEN', queries)
  return count > 0 and found .. ' ' .. count or found
end
local function state(version)
  if (redis.call('HGET', head, 'version') or '0') ~= version then return 'changed' end
  if (redis.call('HGET', head, 'sizes') or '0 0 0') ~= sizes() then return 'lost' end
  return 'ok'
end
"""

CHECK: Final = _NAMES + "return state(ARGV[1])"
"""ARGV: the version read. Whether it is the present one, and whether the server lost anything."""

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

local checked = state(ARGV[1])
if checked ~= 'ok' then return checked end
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
  local floor = string.format('%.0f', math.max(change - {MAX_FOLLOWED_CHANGES}, 0))
  redis.call('XADD', prefix .. 'changes', 'MINID', floor .. '-0',
             string.format('%.0f-1', change), 'k', table.concat(keys))
end

local i = first + 3 * count
local more
for _, name in ipairs({{users, queries}}) do
  more = tonumber(ARGV[i])
  for j = i + 1, i + 2 * more, 2 do
    if ARGV[j + 1] == '' then redis.call('HDEL', name, ARGV[j])
    else redis.call('HSET', name, ARGV[j], ARGV[j + 1]) end
  end
  i = i + 1 + 2 * more
end
more = tonumber(ARGV[i])
for j = i + 1, i + 2 * more, 2 do redis.call('HSET', resets, ARGV[j], ARGV[j + 1]) end
if ARGV[#ARGV] ~= '' then redis.call('HSET', head, 'mark', ARGV[#ARGV]) end

if ARGV[2] ~= ARGV[1] then redis.call('HSET', head, 'version', ARGV[2]) end
if ARGV[3] ~= '' then redis.call('HSET', head, 'head', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', head, 'closed', ARGV[4]) end
redis.call('HSET', head, 'sizes', sizes())
return 'ok'
"""
)
"""ARGV: the version read, the new one, settings, closed, units (key, as read, new), users, queries,
resets, the log position as read, the new one.

What is absent is an empty text; every list follows its length.
"""

READ_PERSON: Final = (
    _NAMES
    + f"""
local function user_of(value) return string.sub(value, {_USER}, {_USER + 7}) end
local function read(name, other_than)
  local values = {{}}
  for _, key in ipairs(redis.call('HKEYS', prefix .. name)) do
    local value = redis.call('HGET', units, key)
    if value and user_of(value) ~= other_than then values[#values + 1] = value end
  end
  return values
end
local of_user = read('user:' .. ARGV[1])
local others = read('session:' .. ARGV[2], ARGV[1] ~= none and ARGV[1])
local done, found = {{}}, {{}}
local function add_reset(user)
  local reset = user ~= none and not done[user] and redis.call('HGET', resets, user)
  done[user] = true
  if reset then
    found[#found + 1] = user
    found[#found + 1] = reset
  end
end
add_reset(ARGV[1])
for _, value in ipairs(others) do add_reset(user_of(value)) end
return {{redis.call('HGET', head, 'version'), redis.call('HGET', users, ARGV[1]), of_user,
        others, found, ARGV[3] ~= none and redis.call('HGET', served, ARGV[3])}}
"""
)
"""ARGV: the user, the session, the query; eight zero bytes for none. The units of the session that
are not among the user's may name others, so these users' resets are returned too.
"""

READ_CHANGES: Final = (
    _NAMES
    + f"""
local now = tonumber(redis.call('HGET', head, 'change') or '0')
if now - tonumber(ARGV[1]) > {MAX_FOLLOWED_CHANGES} then return false end
local done, values = {{}}, {{}}
local entries = redis.call('XRANGE', prefix .. 'changes', '(' .. ARGV[1] .. '-1', '+')
for _, entry in ipairs(entries) do
  local keys = entry[2][2]
  for at = 1, #keys, {KEY_BYTES} do
    local key = string.sub(keys, at, at + {KEY_BYTES - 1})
    local value = not done[key] and redis.call('HGET', units, key)
    done[key] = true
    if value then values[#values + 1] = value end
  end
end
return values
"""
)
"""ARGV: the cursor from which on. False where what came since is no longer listed."""

CLEAR: Final = (
    _NAMES
    + """
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[1] == '0' then
  redis.call('UNLINK', resets)
  for _, part in ipairs({'s', '_ids', '_notes'}) do
    redis.call('UNLINK', KEYS[1] .. 'snapshot' .. part)
  end
elseif redis.call('HLEN', resets) > 0 then redis.call('HSET', head, 'sizes', sizes()) end
return 'ok'
"""
)
"""KEYS: the prefix, the keys to remove. ARGV: 1 where resets and snapshots stay, else 0."""

PUT_SNAPSHOT: Final = """
local texts, ids = KEYS[1] .. 'snapshots', KEYS[1] .. 'snapshot_ids'
local notes = KEYS[1] .. 'snapshot_notes'
for i = 4, #ARGV do
  redis.call('HDEL', texts, ARGV[i])
  redis.call('HDEL', notes, ARGV[i])
  redis.call('LREM', ids, 0, ARGV[i])
end
redis.call('HSET', texts, ARGV[1], ARGV[2])
redis.call('HSET', notes, ARGV[1], ARGV[3])
redis.call('LREM', ids, 0, ARGV[1])
redis.call('LPUSH', ids, ARGV[1])
return 'ok'
"""
"""KEYS: the prefix. ARGV: name, text and note of a snapshot, and the names of those to remove."""
