-- Wireshark dissector for the wire protocol of Fulmar. SPEC.md beside it defines the bytes.
--
--   wireshark -X lua_script:protocol/dissector/fulmar.lua
--   tshark    -X lua_script:protocol/dissector/fulmar.lua -i lo -f 'tcp port 7700'
--
-- or copy it into the folder of personal Lua plugins (Help, About, Folders). The port is a
-- preference of the protocol: tshark -o fulmar.port:7701.
--
-- It reads frames across TCP segments, shows every field, and names what is wrong with a bad frame
-- as the golden vectors do (fulmar.error, fulmar.error.field). The body of an entry that tells of a change
-- of its group is read too (fulmar.change). It doesn't put large bodies together
-- from their parts, and doesn't judge the order of frames.
--
-- Tested with Wireshark 4.0 (Lua 5.2). Written without bit operators, integer division and integers of
-- more than 32 bits, so that the Lua 5.4 of Wireshark 4.4 reads it as well.

local fulmar = Proto("fulmar", "Fulmar chat protocol")

fulmar.prefs.port = Pref.uint("TCP port", 7700, "The port that the server listens on")

-- Limits of the wire format, in bytes unless named otherwise.
local FRAME_BYTES_MAX = 16383
local PART_BYTES_MAX = 16300
local TOKEN_BYTES_MAX = 1024
local AGENT_BYTES_MAX = 64
local DETAIL_BYTES_MAX = 256
local ADDRESS_BYTES_MAX = 256
local LOGS_MAX = 64
local RESUME_MAX = 1024
local USERS_MAX = 256
local WHO_MAX = 256
local GROUP_VALUE_BYTES_MAX = 4096
local REACTION_BYTES_MAX = 64
local DISAPPEAR_SECONDS_MAX = 31536000
local HISTORY_MAX = 256
local KEY_BYTES_MAX = 64
local VALUE_BYTES_MAX = 1024
local PROFILE_NAME_BYTES_MAX = 128
local PROFILE_STATUS_BYTES_MAX = 512
local PROFILE_AVATAR_BYTES_MAX = 256
local NAME_BYTES_MAX = 32
local CODE_MAX = 65535

local MAGIC = "FLMR"
local FLAG_PARTS = 0x40
local FLAG_OWN = 0x80
local KIND_NUMBERS = 0x40
local SKIPPABLE_FIRST = 32

local CODES = {
    [0] = "none",
    [100] = "malformed_frame",
    [101] = "frame_too_large",
    [102] = "unexpected_frame",
    [103] = "unknown_kind",
    [104] = "not_fulmar",
    [105] = "unsupported_version",
    [106] = "hello_timeout",
    [107] = "frame_timeout",
    [108] = "idle_timeout",
    [109] = "cursor_ahead",
    [110] = "unexpected_part",
    [200] = "token_invalid",
    [201] = "token_expired",
    [202] = "token_unknown_key",
    [203] = "token_mismatch",
    [204] = "token_required",
    [205] = "bad_identity",
    [206] = "too_many_devices",
    [207] = "replaced",
    [300] = "body_too_large",
    [301] = "quota_exceeded",
    [302] = "stale_number",
    [303] = "bad_peer",
    [304] = "not_a_member",
    [305] = "not_allowed",
    [306] = "group_full",
    [307] = "bad_change",
    [308] = "bad_content",
    [309] = "no_such_message",
    [310] = "not_yours",
    [311] = "too_old",
    [312] = "book_full",
    [313] = "bad_item",
    [314] = "bad_name",
    [315] = "name_taken",
    [316] = "too_many_lookups",
    [400] = "overloaded",
    [401] = "shutting_down",
    [402] = "too_many_connections",
    [403] = "moved",
    [500] = "internal",
}

-- Content of the entries of a group's log that the server makes.
local CONTENT_CHANGE = 2
local CONTENTS = {
    [0] = "opaque", [1] = "text", [CONTENT_CHANGE] = "change", [3] = "edit", [4] = "delete",
    [5] = "reaction", [6] = "mention", [7] = "disappearing", [8] = "timer",
}

local ITEMS = {
    [0] = "profile",
    [1] = "privacy",
    [2] = "block",
    [3] = "contact",
    [4] = "chat",
    [5] = "star",
    [6] = "username",
}

local ACTIONS = {
    [1] = "create",
    [2] = "rename",
    [3] = "describe",
    [4] = "add",
    [5] = "remove",
    [6] = "leave",
    [7] = "promote",
    [8] = "demote",
    [9] = "hand_over",
    [10] = "delete",
    [11] = "show_history",
}

-- The fields of each kind in their order: name, type, label, and where they have one their limit; of
-- pairs also the names of their two numbers.
local KINDS = {
    [1] = { "hello",
        { "magic", "magic", "Magic" },
        { "version_min", "number", "Lowest version" },
        { "version_max", "number", "Highest version" },
        { "capabilities", "bits", "Capabilities" },
        { "user", "number", "User" },
        { "device", "number", "Device" },
        { "token", "bytes", "Token", TOKEN_BYTES_MAX },
        { "agent", "text", "Agent", AGENT_BYTES_MAX },
        { "cursors", "pairs", "Cursors", LOGS_MAX, "log", "position" } },
    [2] = { "welcome",
        { "version", "number", "Version" },
        { "capabilities", "bits", "Capabilities" },
        { "session", "number", "Session" },
        { "time_ms", "time", "Server time (ms)" },
        { "body_bytes_max", "number", "Largest body (bytes)" },
        { "window_messages", "number", "Window (messages)" },
        { "window_bytes", "number", "Window (bytes)" },
        { "sends_max", "number", "Most unanswered sends" },
        { "idle_s", "number", "Idle limit (s)" },
        { "presence_s", "number", "Away after (s)" },
        { "heads", "pairs", "Heads", LOGS_MAX, "log", "position" } },
    [3] = { "refuse",
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" },
        { "detail", "text", "Detail", DETAIL_BYTES_MAX } },
    [4] = { "send",
        { "peer", "number", "To user" },
        { "number", "positive", "Number" },
        { "content", "content", "Content" },
        { "total_bytes", "total", "Whole body (bytes)" },
        { "body", "body", "Body" } },
    [5] = { "part",
        { "body", "body", "Body" } },
    [6] = { "sent",
        { "peer", "number", "To user" },
        { "number", "number", "Number" },
        { "ordinal", "number", "Ordinal" },
        { "time_ms", "time", "Time (ms)" } },
    [7] = { "rejected",
        { "peer", "number", "To user" },
        { "number", "number", "Number" },
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" } },
    [8] = { "deliver",
        { "position", "number", "Position" },
        { "peer", "number", "Peer" },
        { "ordinal", "number", "Ordinal" },
        { "time_ms", "time", "Time (ms)" },
        { "content", "content", "Content" },
        { "total_bytes", "total", "Whole body (bytes)" },
        { "body", "body", "Body" } },
    [9] = { "skip",
        { "position", "number", "Position" } },
    [10] = { "ack",
        { "position", "number", "Position" } },
    [11] = { "read",
        { "peer", "number", "Peer" },
        { "ordinal", "number", "Ordinal" } },
    [12] = { "receipt",
        { "peer", "number", "Peer" },
        { "delivered", "number", "Delivered up to" },
        { "read", "number", "Read up to" } },
    [13] = { "ask",
        { "peer", "number", "Peer" } },
    [14] = { "ping" },
    [15] = { "pong",
        { "heads", "pairs", "Heads", LOGS_MAX, "log", "position" } },
    [16] = { "goodbye",
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" },
        { "address", "text", "Address", ADDRESS_BYTES_MAX },
        { "detail", "text", "Detail", DETAIL_BYTES_MAX } },
    [17] = { "group_send",
        { "group", "number", "Group" },
        { "number", "positive", "Number" },
        { "content", "own_content", "Content" },
        { "total_bytes", "total", "Whole body (bytes)" },
        { "body", "body", "Body" } },
    [18] = { "group_sent",
        { "group", "number", "Group" },
        { "number", "number", "Number" },
        { "position", "number", "Position" },
        { "time_ms", "time", "Time (ms)" } },
    [19] = { "group_rejected",
        { "group", "number", "Group" },
        { "number", "number", "Number" },
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" } },
    [20] = { "group_deliver",
        { "group", "number", "Group" },
        { "position", "number", "Position" },
        { "author", "number", "Author" },
        { "time_ms", "time", "Time (ms)" },
        { "content", "content", "Content" },
        { "total_bytes", "total", "Whole body (bytes)" },
        { "body", "body", "Body" } },
    [21] = { "group_skip",
        { "group", "number", "Group" },
        { "position", "number", "Position" } },
    [22] = { "group_ack",
        { "group", "number", "Group" },
        { "position", "number", "Position" } },
    [23] = { "group_read",
        { "group", "number", "Group" },
        { "position", "number", "Position" } },
    [24] = { "group_receipt",
        { "group", "number", "Group" },
        { "position", "number", "Position" },
        { "members", "number", "Members" },
        { "delivered", "number", "Have it" },
        { "read", "number", "Saw it" },
        { "delivered_all", "number", "All have up to" },
        { "read_all", "number", "All saw up to" },
        { "who", "pairs", "Who", WHO_MAX, "user", "state" } },
    [25] = { "group_ask",
        { "group", "number", "Group" },
        { "position", "number", "Position" },
        { "after", "number", "Members after" } },
    [26] = { "group_change",
        { "group", "number", "Group" },
        { "number", "positive", "Number" },
        { "action", "action", "Action" },
        { "users", "users", "Users", USERS_MAX },
        { "value", "bytes", "Value", GROUP_VALUE_BYTES_MAX } },
    [27] = { "group_resume",
        { "cursors", "pairs", "Cursors", RESUME_MAX, "group", "position" } },
    [28] = { "group_look",
        { "group", "number", "Group" },
        { "after", "number", "Members after" } },
    [29] = { "group_state",
        { "group", "number", "Group" },
        { "head", "number", "Head" },
        { "members", "number", "Members" },
        { "shows_history", "flag", "Shows history" },
        { "name", "bytes", "Name", GROUP_VALUE_BYTES_MAX },
        { "info", "bytes", "Description", GROUP_VALUE_BYTES_MAX },
        { "roles", "pairs", "Roles", WHO_MAX, "user", "role" } },
    [30] = { "group_notice",
        { "position", "number", "Position" },
        { "group", "number", "Group" },
        { "by", "number", "By" },
        { "time_ms", "time", "Time (ms)" } },
    [31] = { "group_gone",
        { "group", "number", "Group" },
        { "position", "number", "Last position" } },
    [32] = { "activity",
        { "is_here", "flag", "Is here" } },
    [33] = { "watch",
        { "users", "users", "Users", USERS_MAX } },
    [34] = { "unwatch",
        { "users", "users", "Users", USERS_MAX } },
    [35] = { "presence",
        { "user", "number", "User" },
        { "is_online", "flag", "Is online" },
        { "last_seen_ms", "time", "Last seen (ms)" } },
    [36] = { "typing",
        { "group", "number", "Group" },
        { "user", "number", "User" },
        { "is_typing", "flag", "Is typing" } },
    [37] = { "history",
        { "group", "number", "Group" },
        { "from", "number", "From position" },
        { "through", "number", "Through position" },
        { "limit", "limit", "Most entries" },
        { "newest_first", "flag", "Newest first" } },
    [38] = { "past",
        { "group", "number", "Group" },
        { "position", "number", "Position" },
        { "peer", "number", "Peer" },
        { "ordinal", "number", "Ordinal" },
        { "time_ms", "time", "Time (ms)" },
        { "content", "content", "Content" },
        { "total_bytes", "total", "Whole body (bytes)" },
        { "body", "body", "Body" } },
    [39] = { "history_end",
        { "group", "number", "Group" },
        { "from", "number", "From position" },
        { "through", "number", "Through position" },
        { "has_more", "flag", "Has more" } },
    [40] = { "put",
        { "item", "item", "Item" },
        { "key", "bytes", "Key", KEY_BYTES_MAX },
        { "value", "bytes", "Value", VALUE_BYTES_MAX } },
    [41] = { "item",
        { "version", "number", "Version" },
        { "item", "item", "Item" },
        { "key", "bytes", "Key", KEY_BYTES_MAX },
        { "value", "bytes", "Value", VALUE_BYTES_MAX } },
    [42] = { "put_rejected",
        { "item", "item", "Item" },
        { "key", "bytes", "Key", KEY_BYTES_MAX },
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" } },
    [43] = { "book_resume",
        { "version", "number", "Version" } },
    [44] = { "book",
        { "version", "number", "Version" },
        { "head", "number", "Head" },
        { "reset", "flag", "Reset" } },
    [45] = { "profile_look",
        { "user", "number", "User" },
        { "version", "number", "Known version" } },
    [46] = { "profile",
        { "user", "number", "User" },
        { "version", "number", "Version" },
        { "name", "bytes", "Name", PROFILE_NAME_BYTES_MAX },
        { "status", "bytes", "Status", PROFILE_STATUS_BYTES_MAX },
        { "avatar", "bytes", "Avatar", PROFILE_AVATAR_BYTES_MAX } },
    [47] = { "profile_news",
        { "user", "number", "User" },
        { "version", "number", "Version" } },
    [48] = { "find",
        { "name", "bytes", "Name", NAME_BYTES_MAX } },
    [49] = { "found",
        { "name", "bytes", "Name", NAME_BYTES_MAX },
        { "user", "number", "User" },
        { "code", "code", "Code" },
        { "retry_after_ms", "number", "Retry after (ms)" } },
}

-- The flags that a kind may carry.
local FLAGS = {
    [4] = FLAG_PARTS, [8] = FLAG_PARTS + FLAG_OWN, [12] = FLAG_OWN,
    [17] = FLAG_PARTS, [20] = FLAG_PARTS + FLAG_OWN, [38] = FLAG_PARTS + FLAG_OWN,
}

local KIND_NAMES = {}
for number, kind in pairs(KINDS) do
    KIND_NAMES[number] = kind[1]
end

-- What Wireshark knows of the fields -------------------------------------------------------------

local pf = {
    length = ProtoField.uint64("fulmar.length", "Length"),
    kind = ProtoField.uint8("fulmar.kind", "Kind", base.DEC, KIND_NAMES, 0x3f),
    parts = ProtoField.bool("fulmar.flag.parts", "Parts follow", 8, nil, FLAG_PARTS),
    own = ProtoField.bool("fulmar.flag.own", "Own", 8, nil, FLAG_OWN),
    text = ProtoField.string("fulmar.text", "Text", base.UNICODE),
    unknown = ProtoField.bytes("fulmar.unknown.fields", "Fields of a later version"),
    error = ProtoField.string("fulmar.error", "Error"),
    error_field = ProtoField.string("fulmar.error.field", "Error in field"),
}
local malformed = ProtoExpert.new("fulmar.malformed", "Malformed Fulmar frame",
    expert.group.MALFORMED, expert.severity.ERROR)

local DECLARE = {
    magic = function(id, label) return ProtoField.string(id, label) end,
    number = function(id, label) return ProtoField.uint64(id, label) end,
    bits = function(id, label) return ProtoField.uint64(id, label, base.HEX) end,
    bytes = function(id, label) return ProtoField.bytes(id, label) end,
    text = function(id, label) return ProtoField.string(id, label, base.UNICODE) end,
    code = function(id, label) return ProtoField.uint16(id, label, base.DEC, CODES) end,
    content = function(id, label) return ProtoField.uint8(id, label, base.DEC, CONTENTS) end,
    item = function(id, label) return ProtoField.uint8(id, label, base.DEC, ITEMS) end,
    action = function(id, label) return ProtoField.uint8(id, label, base.DEC, ACTIONS) end,
    pairs = function(id, label) return ProtoField.none(id, label) end,
}
DECLARE.users, DECLARE.own_content, DECLARE.flag = DECLARE.pairs, DECLARE.content, DECLARE.number
DECLARE.positive, DECLARE.time, DECLARE.total = DECLARE.number, DECLARE.number, DECLARE.number
DECLARE.limit, DECLARE.body = DECLARE.number, DECLARE.bytes

local declared = {}
for _, field in pairs(pf) do
    table.insert(declared, field)
end
local function declare(key, field)
    pf[key] = field
    table.insert(declared, field)
end
for _, kind in pairs(KINDS) do
    for index = 2, #kind do
        local name, type, label = kind[index][1], kind[index][2], kind[index][3]
        local key = kind[1] .. "." .. name
        declare(key, DECLARE[type]("fulmar." .. key, label))
        local parts = type == "users" and { "user" } or { kind[index][5], kind[index][6] }
        for _, part in ipairs(parts) do
            local part_label = part:gsub("^%l", string.upper)
            local part_key = key .. "." .. part
            declare(part_key, ProtoField.uint64("fulmar." .. part_key, part_label))
        end
    end
end
-- What the body of a change holds: the same as a request's last fields.
declare("change.action", DECLARE.action("fulmar.change.action", "Action"))
declare("change.users", DECLARE.users("fulmar.change.users", "Users"))
declare("change.users.user", ProtoField.uint64("fulmar.change.users.user", "User"))
declare("change.value", DECLARE.bytes("fulmar.change.value", "Value"))
-- What stands before the body in contents that have a head.
declare("content.target", DECLARE.number("fulmar.content.target", "Target"))
declare("content.whose", DECLARE.content("fulmar.content.whose", "Whose"))
declare("content.users", DECLARE.users("fulmar.content.users", "Users"))
declare("content.users.user", ProtoField.uint64("fulmar.content.users.user", "User"))
declare("content.inner", DECLARE.content("fulmar.content.inner", "Inner content"))
declare("content.seconds", DECLARE.number("fulmar.content.seconds", "Seconds"))
fulmar.fields = declared
fulmar.experts = { malformed }

-- Numbers and texts ------------------------------------------------------------------------------

-- Reads a varint of `tvb` at `offset`, before `stop`: its value as UInt64 and as a Lua number
-- (exact below 2^53), and how many bytes it takes; or nil and the name of the error.
local function read_varint(tvb, offset, stop)
    local groups, count = {}, 0
    repeat
        if offset + count >= stop then return nil, "truncated" end
        local byte = tvb(offset + count, 1):uint()
        count = count + 1
        groups[count] = byte % 128
        if count == 10 and byte > 1 then return nil, "number" end
    until byte < 128
    if count > 1 and groups[count] == 0 then return nil, "number" end
    for index = count + 1, 10 do
        groups[index] = 0
    end
    local middle = groups[5]
    local low = groups[1] + groups[2] * 128 + groups[3] * 16384 + groups[4] * 2097152
        + (middle % 16) * 268435456
    local high = math.floor(middle / 16) + groups[6] * 8 + groups[7] * 1024 + groups[8] * 131072
        + groups[9] * 16777216 + groups[10] * 2147483648
    return UInt64.new(low, high), high * 4294967296.0 + low, count
end

-- The character that starts at `index` of `bytes` and its length; nil where it isn't UTF-8.
local function character(bytes, index)
    local first = bytes:byte(index)
    if first < 0x80 then return first, 1 end
    local length, value, least
    if first >= 0xc2 and first <= 0xdf then
        length, value, least = 2, first - 0xc0, 0x80
    elseif first >= 0xe0 and first <= 0xef then
        length, value, least = 3, first - 0xe0, 0x800
    elseif first >= 0xf0 and first <= 0xf4 then
        length, value, least = 4, first - 0xf0, 0x10000
    else
        return nil
    end
    for more = 1, length - 1 do
        local byte = bytes:byte(index + more)
        if not byte or byte < 0x80 or byte > 0xbf then return nil end
        value = value * 64 + byte - 0x80
    end
    if value < least or value > 0x10ffff or (value >= 0xd800 and value <= 0xdfff) then return nil end
    return value, length
end

-- Whether `bytes`, a Lua string, are UTF-8, and whether they have no control characters.
local function judge_text(bytes)
    local index, printable = 1, true
    while index <= #bytes do
        local value, length = character(bytes, index)
        if not value then return false, false end
        if value < 0x20 or (value >= 0x7f and value <= 0x9f) then printable = false end
        index = index + length
    end
    return true, printable
end

-- Fields -----------------------------------------------------------------------------------------

-- Ends a frame's dissection with an error of the vectors' names.
local function fail(name, field)
    error({ name = name, field = field }, 0)
end

-- A frame being read: `tvb` from `offset` to `stop`, `tree` to add to, `values` by field name.
local Reader = {}
Reader.__index = Reader

function Reader:varint(key)
    local value, number, count = read_varint(self.tvb, self.offset, self.stop)
    if not value then fail(number, key) end
    local range = self.tvb(self.offset, count)
    self.offset = self.offset + count
    return value, number, range
end

-- A length-prefixed run of bytes.
function Reader:run(key, max)
    local _, length = self:varint(key)
    if length > max then fail("too_long", key) end
    if self.offset + length > self.stop then fail("truncated", key) end
    local range = self.tvb(self.offset, length)
    self.offset = self.offset + length
    return range
end

local function raw(range)
    return range:len() > 0 and range:bytes():raw() or ""
end

local READ = {}

function READ.magic(reader, key)
    local length = math.min(#MAGIC, reader.stop - reader.offset)
    local range = reader.tvb(reader.offset, length)
    if raw(range) ~= MAGIC then fail("not_fulmar") end
    reader.tree:add(pf[key], range)
    reader.offset = reader.offset + length
end

function READ.number(reader, key)
    local value, number, range = reader:varint(key)
    reader.tree:add(pf[key], range, value)
    return value, number
end

READ.bits = READ.number

function READ.positive(reader, key)
    local value, number = READ.number(reader, key)
    if number == 0 then fail("value", key) end
    return value, number
end

function READ.limit(reader, key)
    local value, number = READ.positive(reader, key)
    if number > HISTORY_MAX then fail("value", key) end
    return value, number
end

function READ.time(reader, key)
    local value, number, range = reader:varint(key)
    local item = reader.tree:add(pf[key], range, value)
    -- Dates past the year 9999 are no times, and not every C library prints them.
    if number > 0 and number < 253402300800000.0 then
        item:append_text(os.date("! (%Y-%m-%d %H:%M:%S UTC)", math.floor(number / 1000)))
    end
    return value, number
end

function READ.code(reader, key)
    local value, number, range = reader:varint(key)
    if number > CODE_MAX then fail("value", key) end
    reader.tree:add(pf[key], range, value:tonumber())
    return value, number
end

function READ.content(reader, key)
    if reader.offset >= reader.stop then fail("truncated", key) end
    local range = reader.tvb(reader.offset, 1)
    reader.tree:add(pf[key], range)
    reader.offset = reader.offset + 1
    return range:uint(), range:uint()
end

function READ.bytes(reader, key, max)
    local range = reader:run(key, max)
    if range:len() > 0 then reader.tree:add(pf[key], range) end
end

function READ.text(reader, key, max)
    local range = reader:run(key, max)
    local valid, printable = judge_text(raw(range))
    if not (valid and printable) then fail("text", key) end
    if range:len() > 0 then reader.tree:add_packet_field(pf[key], range, ENC_UTF_8) end
end

-- Content of what a member sends: not that of the entries that the server makes.
READ.item = READ.content

function READ.own_content(reader, key)
    local value, number = READ.content(reader, key)
    if number == CONTENT_CHANGE then fail("value", key) end
    return value, number
end

function READ.action(reader, key)
    local _, number = READ.content(reader, key)
    if not ACTIONS[number] then fail("value", key) end
    return ACTIONS[number], number
end

function READ.flag(reader, key)
    local value, number = READ.number(reader, key)
    if number > 1 then fail("value", key) end
    return value, number
end

-- The head of a list: its item in the tree and how many entries follow.
local function read_count(reader, key, max)
    local start = reader.offset
    local _, count = reader:varint(key)
    if count > max then fail("too_long", key) end
    local list = reader.tree:add(pf[key], reader.tvb(start, reader.offset - start))
    list:append_text(string.format(" (%d)", count))
    return list, count
end

function READ.pairs(reader, key, max, first_name, second_name)
    local list, count = read_count(reader, key, max)
    local before
    for _ = 1, count do
        local first, _, first_range = reader:varint(key)
        local second, _, second_range = reader:varint(key)
        if before and not (before < first) then fail("value", key) end
        before = first
        list:add(pf[key .. "." .. first_name], first_range, first)
        list:add(pf[key .. "." .. second_name], second_range, second)
    end
    return tostring(count)
end

function READ.users(reader, key, max)
    local list, count = read_count(reader, key, max)
    local before = UInt64.new(0)
    for _ = 1, count do
        local user, _, range = reader:varint(key)
        if not (before < user) then fail("value", key) end
        before = user
        list:add(pf[key .. ".user"], range, user)
    end
    return tostring(count)
end

function READ.total(reader, key)
    if not reader.parts then return nil, nil end
    return READ.number(reader, key)
end

-- Reads the body of a change from `offset` to `stop`.
local function read_change(tvb, offset, stop, tree)
    local reader = setmetatable({ tvb = tvb, offset = offset, stop = stop, tree = tree }, Reader)
    READ.action(reader, "change.action")
    READ.users(reader, "change.users", USERS_MAX)
    READ.bytes(reader, "change.value", GROUP_VALUE_BYTES_MAX)
    if reader.offset < stop then fail("trailing") end
end

-- Reads the head of a content from `offset` to `stop`.
local function read_content(content, in_group, tvb, offset, stop, tree)
    local reader = setmetatable({ tvb = tvb, offset = offset, stop = stop, tree = tree }, Reader)
    local function inner()
        local _, number = READ.content(reader, "content.inner")
        return number
    end
    if content == 3 or content == 4 then
        READ.positive(reader, "content.target")
        if content == 4 and reader.offset < stop then fail("trailing") end
    elseif content == 5 then
        local _, whose = READ.content(reader, "content.whose")
        if whose > 1 or (in_group and whose > 0) then fail("value", "content.whose") end
        READ.positive(reader, "content.target")
        if stop - reader.offset > REACTION_BYTES_MAX then fail("too_long", "content.body") end
    elseif content == 6 then
        READ.users(reader, "content.users", USERS_MAX)
        local number = inner()
        if number >= CONTENT_CHANGE and number <= 8 then fail("value", "content.inner") end
    else
        local read = content == 7 and READ.positive or READ.number
        local _, seconds = read(reader, "content.seconds")
        if seconds > DISAPPEAR_SECONDS_MAX then fail("value", "content.seconds") end
        if content == 8 then
            if reader.offset < stop then fail("trailing") end
        else
            local number = inner()
            if number == CONTENT_CHANGE or number >= 7 and number <= 8 then
                fail("value", "content.inner")
            end
        end
    end
end

function READ.body(reader, key)
    local length = reader.stop - reader.offset
    if length > PART_BYTES_MAX then fail("too_long", key) end
    local total = reader.numbers.total_bytes
    if total and total <= length then fail("value", reader.kind .. ".total_bytes") end
    if length == 0 then
        if reader.kind == "part" then fail("truncated", key) end
        return "0"
    end
    local range = reader.tvb(reader.offset, length)
    local item = reader.tree:add(pf[key], range)
    if reader.numbers.content == 1 and not reader.parts and judge_text(raw(range)) then
        item:add_packet_field(pf.text, range, ENC_UTF_8):set_generated()
    end
    local of_group = reader.kind == "group_deliver"
        or (reader.kind == "past" and reader.numbers.group > 0)
    if of_group and reader.numbers.content == CONTENT_CHANGE and not reader.parts then
        -- A body that isn't one doesn't make the frame a bad one.
        local good, problem = pcall(read_change, reader.tvb, reader.offset, reader.stop, item)
        if not good then
            if type(problem) ~= "table" then error(problem, 0) end
            item:append_text(" (not a change: " .. problem.name .. ")")
        end
    end
    local content = reader.numbers.content
    if content and content >= 3 and content <= 8 and not reader.parts then
        local in_group = reader.numbers.group ~= nil and reader.numbers.group > 0
        local good, problem =
            pcall(read_content, content, in_group, reader.tvb, reader.offset, reader.stop, item)
        if not good then
            if type(problem) ~= "table" then error(problem, 0) end
            item:append_text(" (not such a content: " .. problem.name .. ")")
        end
    end
    reader.offset = reader.stop
    return string.format("%d", length)
end

-- Frames -----------------------------------------------------------------------------------------

-- One line about a frame, from the values of its fields.
local SUMMARY = {
    hello = function(v) return string.format("user %s device %s", v.user, v.device) end,
    welcome = function(v) return string.format("session %s", v.session) end,
    send = function(v)
        return string.format("to %s #%s, %s bytes", v.peer, v.number, v.total_bytes or v.body)
    end,
    part = function(v) return string.format("%s bytes", v.body) end,
    sent = function(v) return string.format("to %s #%s, ordinal %s", v.peer, v.number, v.ordinal) end,
    rejected = function(v) return string.format("to %s #%s", v.peer, v.number) end,
    deliver = function(v)
        return string.format("@%s %s %s, ordinal %s, %s bytes", v.position, v.own and "to" or "from",
            v.peer, v.ordinal, v.total_bytes or v.body)
    end,
    skip = function(v) return string.format("@%s", v.position) end,
    ack = function(v) return string.format("@%s", v.position) end,
    read = function(v) return string.format("of %s up to %s", v.peer, v.ordinal) end,
    receipt = function(v)
        return string.format("%s %s delivered %s read %s", v.own and "own of" or "from", v.peer,
            v.delivered, v.read)
    end,
    ask = function(v) return string.format("about %s", v.peer) end,
    group_send = function(v)
        return string.format("in %s #%s, %s bytes", v.group, v.number, v.total_bytes or v.body)
    end,
    group_sent = function(v) return string.format("in %s #%s, @%s", v.group, v.number, v.position) end,
    group_rejected = function(v) return string.format("in %s #%s", v.group, v.number) end,
    group_deliver = function(v)
        return string.format("in %s @%s %s %s, %s bytes", v.group, v.position,
            v.own and "own of" or "from", v.author, v.total_bytes or v.body)
    end,
    group_receipt = function(v)
        return string.format("in %s @%s members %s delivered %s read %s", v.group, v.position,
            v.members, v.delivered, v.read)
    end,
    group_ask = function(v) return string.format("in %s @%s", v.group, v.position) end,
    group_change = function(v) return string.format("%s %s #%s", v.action, v.group, v.number) end,
    group_resume = function(v) return string.format("%s groups", v.cursors) end,
    group_look = function(v) return string.format("at %s", v.group) end,
    group_state = function(v)
        return string.format("of %s, head %s, %s members", v.group, v.head, v.members)
    end,
    group_notice = function(v) return string.format("@%s group %s by %s", v.position, v.group, v.by) end,
    activity = function(v) return v.is_here == "1" and "here" or "away" end,
    watch = function(v) return string.format("%s users", v.users) end,
    unwatch = function(v) return string.format("%s users", v.users) end,
    presence = function(v)
        return string.format("%s %s", v.user, v.is_online == "1" and "online" or "offline")
    end,
    typing = function(v)
        return string.format("group %s user %s %s", v.group, v.user,
            v.is_typing == "1" and "writes" or "stopped")
    end,
    history = function(v)
        return string.format("of %s, %s to %s, %s", v.group, v.from, v.through, v.limit)
    end,
    past = function(v)
        return string.format("%s @%s %s %s, %s bytes", v.group, v.position, v.own and "own" or "from",
            v.peer, v.total_bytes or v.body)
    end,
    history_end = function(v)
        return string.format("of %s, %s to %s", v.group, v.from, v.through)
    end,
}
-- Frames that name a group and a position in its log, and nothing else.
for _, kind in ipairs({ "group_skip", "group_ack", "group_read", "group_gone" }) do
    SUMMARY[kind] = function(v) return string.format("%s @%s", v.group, v.position) end
end

local function summary(reader)
    local text = reader.kind
    local make = SUMMARY[reader.kind]
    if make then text = text .. " " .. make(reader.values) end
    local code = reader.numbers.code
    if code then text = string.format("%s %s (%d)", text, CODES[code] or "unknown code", code) end
    return text
end

-- Reads the frame in `tvb` from `offset` to `stop`, after its length prefix. Returns its summary.
local function read_frame(tvb, offset, stop, tree)
    local kind_range = tvb(offset, 1)
    local kind_byte = kind_range:uint()
    local number = kind_byte % KIND_NUMBERS
    local flags = kind_byte - number
    tree:add(pf.kind, kind_range)
    tree:add(pf.parts, kind_range)
    tree:add(pf.own, kind_range)
    local kind = KINDS[number]
    if not kind and number >= SKIPPABLE_FIRST then
        if stop > offset + 1 then tree:add(pf.unknown, tvb(offset + 1, stop - offset - 1)) end
        return string.format("unknown kind %d", number)
    end
    if not kind then fail("unknown_kind") end
    local parts, own = flags % FLAG_OWN == FLAG_PARTS, flags >= FLAG_OWN
    local allowed = FLAGS[number] or 0
    if (parts and allowed % FLAG_OWN == 0) or (own and allowed < FLAG_OWN) then
        fail("unknown_flag")
    end
    local reader = setmetatable({
        tvb = tvb, offset = offset + 1, stop = stop, tree = tree,
        kind = kind[1], parts = parts, values = { own = own }, numbers = {},
    }, Reader)
    for index = 2, #kind do
        local field = kind[index]
        local name, type = field[1], field[2]
        local key = kind[1] .. "." .. name
        local value, as_number = READ[type](reader, key, field[4], field[5], field[6])
        reader.values[name] = value and tostring(value)
        reader.numbers[name] = as_number
    end
    if reader.offset < stop then fail("trailing") end
    return summary(reader)
end

-- Shows that `range` is wrong. Returns the summary.
local function show_error(tree, range, problem)
    -- Anything but a table is a mistake of this script.
    if type(problem) ~= "table" then error(problem, 0) end
    tree:add(pf.error, range, problem.name):set_generated()
    local text = problem.name
    if problem.field then
        tree:add(pf.error_field, range, problem.field):set_generated()
        text = text .. " " .. problem.field
    end
    tree:add_proto_expert_info(malformed, "Malformed: " .. text)
    return "[malformed: " .. text .. "]"
end

-- Dissects the frame at `offset`. Returns the offset after it and its summary; or nil where the
-- frame isn't complete.
local function dissect_frame(tvb, offset, root)
    local length, number, prefix = read_varint(tvb, offset, tvb:len())
    if not length and number == "truncated" then return nil end
    local problem
    if not length then
        problem = "length"
    elseif number == 0 then
        problem = "empty"
    elseif number > FRAME_BYTES_MAX then
        problem = "too_large"
    end
    if problem then
        -- Where the next frame starts can't be known.
        local range = tvb(offset)
        local tree = root:add(fulmar, range, "Fulmar, not a frame")
        return tvb:len(), show_error(tree, range, { name = problem })
    end
    local start, stop = offset + prefix, offset + prefix + number
    if stop > tvb:len() then return nil end
    local range = tvb(offset, stop - offset)
    local tree = root:add(fulmar, range)
    tree:add(pf.length, tvb(offset, prefix), length)
    local good, result = pcall(read_frame, tvb, start, stop, tree)
    if not good then result = show_error(tree, range, result) end
    tree:set_text("Fulmar " .. result)
    return stop, result
end

function fulmar.dissector(tvb, pinfo, root)
    -- A capture that cut its packets short holds no whole frames.
    if tvb:len() ~= tvb:reported_len() then return 0 end
    pinfo.cols.protocol = "Fulmar"
    local offset, summaries = 0, {}
    while offset < tvb:len() do
        local next_offset, text = dissect_frame(tvb, offset, root)
        if not next_offset then
            pinfo.desegment_offset = offset
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            break
        end
        table.insert(summaries, text .. ";")
        offset = next_offset
    end
    if #summaries > 0 then
        pinfo.cols.info:set(table.concat(summaries, " ") .. " ")
        -- A segment that ends one frame and holds another is dissected twice; both are shown.
        pinfo.cols.info:fence()
    end
    return tvb:len()
end

-- The port ---------------------------------------------------------------------------------------

local tcp_ports = DissectorTable.get("tcp.port")
local registered_port = fulmar.prefs.port
tcp_ports:add(registered_port, fulmar)

function fulmar.prefs_changed()
    if registered_port ~= fulmar.prefs.port then
        tcp_ports:remove(registered_port, fulmar)
        registered_port = fulmar.prefs.port
        tcp_ports:add(registered_port, fulmar)
    end
end
