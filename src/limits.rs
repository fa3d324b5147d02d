//! Every bound of the server that isn't configured, in one place, with the relations between them
//! checked at compile time. Bounds of the wire stand in [`fulmar_protocol::limits`].

use fulmar_protocol::limits as wire;

/// Most cores of a node: the mesh has one ring per ordered pair.
pub const CORES_MAX: usize = 64;

/// Letters that a ring between two cores holds.
pub const MESH_RING_LETTERS: usize = 4_096;
/// Letters to one core that didn't fit its ring. At this number the sockets are no longer read
/// until the ring takes letters again.
pub const MESH_BACKLOG_LETTERS: usize = 1_024;
/// Turns whose writes a core may have at the journal. Beyond it the writes gather into the next
/// turn's batch.
pub const JOURNAL_RING_BATCHES: usize = 256;
/// Answers of readers and of token checks that may wait for a core.
pub const ANSWERS_MAX: usize = 4_096;

/// Output of one connection that is still unwritten, in bytes, above which nothing more is
/// delivered to it and its sends are not read.
pub const OUTPUT_HIGH_BYTES: usize = 64 * 1024;
/// Unread input of a paused connection, in bytes. A client that keeps to its window of sends
/// never gets near; one that exceeds it is closed.
pub const INPUT_BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// Receipts of distinct peers remembered for a connection whose output is full. One that stalls
/// for longer is closed; it asks for what it missed when it returns.
pub const STALLED_RECEIPTS_MAX: usize = 256;

/// Recent sends of one device to one peer that can be answered again: the largest window of sends,
/// since a client has no older one without an answer.
pub const RESENDS_MAX: u64 = 128;
/// Runs of consecutive numbers remembered for a sending device; one run covers any number of sends
/// as long as no other device of the sender and no refusal comes in between.
pub const RUNS_MAX: usize = RESENDS_MAX as usize;

/// Messages of one inbox that are kept in memory for devices that are about to take them, in bytes
/// that they cost. What is over it is read from storage.
pub const TAIL_BYTES_MAX: usize = 512 * 1024;
/// Large bodies that are arriving at one core, in bytes together. Beyond it the connection whose body was
/// begun first is ended.
pub const UPLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Body bytes of sends of one core's connections that wait for their answers, together. Beyond it no
/// session's input is looked at until half of it is answered: what storage is behind with is held in
/// memory, and not every client at once may have its whole window there.
pub const CORE_SENDS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest pause between two pieces of a large body, in milliseconds. It holds memory that others want.
pub const UPLOAD_STALL_MS: u64 = 30_000;
/// Actions that wait for one conversation to be loaded.
pub const WAITING_MAX: usize = 1_024;
/// Bytes of a page of a log's past, after which it ends: what is read at once for a device that may not take it
/// for a while.
pub const HISTORY_PAGE_BYTES: usize = 64 * 1024;
/// Bytes of such pages that a core holds. Beyond it a page ends after one entry, so that devices that take nothing
/// cost no more than those that get a large body.
pub const PAGES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Entries that one cold read brings, at most.
pub const LOAD_ENTRIES_MAX: u32 = 256;

/// People whom one session watches. Of more, it is told once that they are away, and nothing later.
pub const WATCHED_MAX: usize = 256;
/// People whom the sessions of one core watch, counted for each session. It bounds the memory for it, to some
/// hundred bytes each.
pub const CORE_WATCHES_MAX: u64 = 1 << 20;
/// How long somebody must be gone until watchers are told, in milliseconds: a phone that changes networks is
/// back by then.
pub const PRESENCE_SETTLE_MS: u64 = 5_000;
/// What a person does on one connection within this time after something that was noted is not noted again,
/// in milliseconds: online and last seen are true to within it.
pub const PRESENCE_NOTE_MS: u64 = 250;
/// People whom a core keeps in memory though nobody watches them any more, at most, so that a change is told no
/// earlier for a watch that ended and began again.
pub const PEOPLE_WARM_MAX: usize = 65_536;
/// Loads of last seen that a core has under way; more wait.
pub const PRESENCE_READS_MAX: usize = 256;
/// People whose presence is looked at in one turn, because something is due, at most.
pub const PRESENCE_PER_TURN: usize = 1_024;
/// Frames about writing that are passed on for one sender and peer in a second; the last place is for
/// one that ends it.
pub const TYPING_PER_SECOND_MAX: u8 = 4;
/// Senders and peers of one second that these are counted for. Beyond it nothing is passed on.
pub const TYPING_CONVERSATIONS_MAX: usize = 65_536;

/// Items of one book that have a value.
pub const BOOK_ITEMS_MAX: usize = 4_096;
/// Bytes of these, each counted with [`BOOK_ITEM_COST_BYTES`].
pub const BOOK_BYTES_MAX: usize = 128 * 1024;
/// What an item counts beside its key and value, so that many small ones aren't free.
pub const BOOK_ITEM_COST_BYTES: usize = 16;
/// Removed items that a book remembers for devices that were away. Of more, the oldest is forgotten, and a
/// device that didn't hear of it begins anew.
pub const BOOK_REMOVED_MAX: usize = 1_024;
/// Bytes of items after which a page of a book ends. A session may have as many pages under way as questions.
pub const BOOK_PAGE_BYTES: usize = 16 * 1024;
/// What waits for one book to be loaded, besides questions for its username.
pub const BOOK_WAITING_MAX: usize = 1_024;
/// Claims and questions that wait for one record of usernames to be loaded.
pub const NAME_WAITING_MAX: usize = 1_024;
/// Usernames that a user wants and that aren't decided yet. PUTs of more are rejected as overloaded.
pub const NAME_WISHES_MAX: usize = 64;
/// Usernames of one hash. That there is a second one is an accident or an attempt.
pub const NAMES_OF_HASH_MAX: usize = 8;
/// Records of usernames that a core keeps in memory.
pub const NAMES_WARM_MAX: usize = 65_536;
/// When a question for a username is answered, in milliseconds after it came, or a multiple of that: so the
/// time doesn't tell whether there is one who isn't to be found.
pub const FIND_ANSWER_MS: u64 = 100;
/// Usernames that a user may ask for, or want to have, within [`FINDS_WINDOW_MS`].
pub const FINDS_MAX: u32 = 60;
/// See [`FINDS_MAX`], in milliseconds.
pub const FINDS_WINDOW_MS: u64 = 60_000;
/// Questions about what a session's user may see, or who may see what it read, that a core has under way; more
/// wait.
pub const PERMISSIONS_ASKED_MAX: usize = 256;
/// Memory of the books that a core keeps though nobody uses them, in bytes.
pub const BOOKS_WARM_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Conversations that a core loads at once to see whether somebody who writes is blocked. Beyond it that
/// isn't passed on.
pub const TYPING_LOADS_MAX: usize = 256;

/// Users without a connection that a core keeps in memory.
pub const USERS_WARM_MAX: usize = 100_000;
/// Conversations that a core keeps in memory.
pub const CONVERSATIONS_WARM_MAX: usize = 400_000;
/// How long unused state stays in memory, in milliseconds.
pub const WARM_MS: u64 = 60_000;
/// Table slots that one sweep for unused state looks at.
pub const SWEEP_SLOTS: usize = 2_048;
/// Time between two sweeps, in milliseconds.
pub const SWEEP_MS: u64 = 250;

/// Longest time that a moved cursor waits until it is stored, in milliseconds. A crash in between
/// repeats deliveries, which devices recognise.
pub const PERSIST_DELAY_MS: u64 = 250;
/// Records of moved cursors stored in one turn, at least, if so many are due.
pub const PERSIST_PER_TURN: usize = 32;
/// Part of the waiting records that is stored in one turn where that is more, so that the queue ends
/// no matter how many users a turn brings.
pub const PERSIST_DIVISOR: usize = 8;

/// Groups of one core that stay in memory though nothing happens in them. Those in which an author waits to hear how far
/// the others are stay up to twice as many.
pub const GROUPS_WARM_MAX: usize = 20_000;
/// Groups that a user is in, at most.
pub const USER_GROUPS_MAX: usize = 1_000;
/// Groups that a user was in and may still read up to its end; of more the oldest is forgotten.
pub const GROUPS_PAST_MAX: usize = 256;
/// Members of a group, at most, whatever is configured.
pub const GROUP_MEMBERS_LIMIT: usize = 100_000;
/// Former members whom a group remembers, so that they can read what they didn't get before their end.
pub const GROUP_FORMER_MAX: usize = 1_024;
/// Times between a member's times that a group remembers; of a user who was put out and taken back more often,
/// the earliest time is forgotten, with what its devices didn't get of it.
pub const GROUP_ABSENCES_MAX: usize = 16;
/// Longest name of a group, in bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 256;
/// Changes and messages of a group that wait before they may enter its log: until the users whom they add were
/// told, or the message that they refer to was read. Whoever sends more comes again.
pub const GROUP_HELD_MAX: usize = 1_024;
/// What one device sent to a group behind something of its own that waits so. More than its connection may have
/// without an answer comes only from several connections.
pub const GROUP_BEHIND_MAX: usize = 2 * RESENDS_MAX as usize;
/// Sessions of users who are being added that wait to hear whether they were. Of more the connection ends.
pub const GROUP_EARLY_MAX: usize = 1_024;
/// Groups that wait to tell a user of being added until the inbox is loaded. Of more the change is refused.
pub const NOTICES_MAX: usize = 1_024;
/// Authors of a group who are told at once how far the others are; more of them take turns.
pub const GROUP_AUTHORS_TOLD_MAX: usize = 64;
/// Groups that a session is remembered to know. One that comes to know more ends.
pub const SESSION_GROUPS_MAX: usize = 16_384;
/// Part of a session's window for groups that one of them may fill.
pub const GROUP_FEED_SHARE: u32 = 4;
/// What telling a user of a group counts among the body bytes that wait for answers: it may load an inbox,
/// and one change tells many.
pub const NOTICE_COST_BYTES: usize = 4_096;
/// What a change of a group counts there for each member that a group may have: the group's record is stored with it,
/// and the members are told to all cores with some.
pub const MEMBER_COST_BYTES: usize = 64;
/// Cold reads of groups that one session has under way. Each may bring what is left of its window.
pub const GROUP_READS_MAX: usize = 4;
/// Entries of a group that a core with members keeps for sessions that don't take them at once, and their
/// bytes.
pub const SEAT_RECENT_ENTRIES: usize = 64;
/// See [`SEAT_RECENT_ENTRIES`].
pub const SEAT_RECENT_BYTES: usize = 64 * 1024;
/// Bytes of such entries on one core, of all groups. With more, what comes is read from the log by those who lack it.
pub const SEATS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Time after which a group's moved cursors are stored, in milliseconds. Its record holds all members, so it
/// is written less often than an inbox's.
pub const GROUP_PERSIST_MS: u64 = 1_000;

/// Longest time that a receipt on a busy core waits for another frame to the same connection, in
/// milliseconds: too short for a person to notice.
pub const RECEIPT_GATHER_MS: u64 = 20;
/// The same for a tick.
pub const TICK_GATHER_MS: u64 = 4;
/// Shortest time between two receipts about one group, in milliseconds. Its members are never done all at once,
/// and without it each of their acknowledgements would be a frame to the author.
pub const GROUP_RECEIPT_GATHER_MS: u64 = 50;

/// Time that a closing connection gets to take its last bytes, in milliseconds.
pub const CLOSE_GRACE_MS: u64 = 2_000;
/// Time that a login may take once its hello is complete, in milliseconds.
pub const LOGIN_TIMEOUT_MS: u64 = 30_000;
/// When a client that was told to go away may come back, in milliseconds.
pub const RESTART_RETRY_MS: u64 = 1_000;
/// When a send that met a full inbox may be tried again, in milliseconds.
pub const QUOTA_RETRY_MS: u64 = 60_000;
/// When a request that met an overloaded core may be tried again, in milliseconds.
pub const OVERLOAD_RETRY_MS: u64 = 1_000;

/// Longest time that a core takes to stop once it was told to, in milliseconds.
pub const STOP_MS: u64 = 10_000;
/// Tokens of one core that the workers have at once. The others wait where cold reads don't wait behind
/// them: whoever can connect may have a token judged, and each costs a signature.
pub const VERIFYING_MAX: usize = 64;
/// Longest queue of jobs for the workers of a node.
pub const JOBS_MAX: usize = 8_192;
/// Jobs of one core that find that queue full, beyond which logins are refused: what a signature takes
/// on two workers makes this many about a second. Reads are bounded by who asks for them.
pub const JOBS_BACKLOG_MAX: usize = 16_384;
/// Batches that one commit takes, at most.
pub const COMMIT_BATCHES_MAX: usize = 1_024;
/// Bytes of values after which a commit takes no further batch, and turns are no longer merged into
/// one. A commit far larger would not fit a segment's numbers, which ends the process.
pub const COMMIT_BYTES_ENOUGH: usize = 32 * 1024 * 1024;

/// Size of a block that message values are cut from, in bytes.
pub const ARENA_BLOCK_BYTES: usize = 256 * 1024;
/// Used-up blocks that wait to be used again.
pub const ARENA_BLOCKS_SPARE: usize = 64;
/// Output buffers that wait to be used again.
pub const BUFFERS_SPARE: usize = 1_024;
/// Largest output buffer that is kept for reuse, in bytes.
pub const BUFFER_KEEP_BYTES: usize = 64 * 1024;

const _: () = assert!(ARENA_BLOCK_BYTES > wire::FRAME_BYTES_MAX + 256);
const _: () = assert!(OUTPUT_HIGH_BYTES > 2 * wire::FRAME_BYTES_MAX);
const _: () = assert!(TAIL_BYTES_MAX > wire::BODY_BYTES_MAX);
const _: () = assert!(UPLOAD_BYTES_MAX > wire::BODY_BYTES_MAX);
const _: () = assert!(CORE_SENDS_BYTES_MAX / 2 > wire::BODY_BYTES_MAX);
const _: () = assert!(INPUT_BACKLOG_BYTES_MAX > 2 * wire::FRAME_BYTES_MAX);
// A core that refused a login has a backlog still, and so its next turn is soon.
const _: () = assert!(JOBS_BACKLOG_MAX > JOBS_MAX);
const _: () = assert!(GROUP_BEHIND_MAX > RESENDS_MAX as usize);
const _: () = assert!(BOOK_PAGE_BYTES > wire::VALUE_BYTES_MAX + wire::KEY_BYTES_MAX);
const _: () = assert!(BOOK_BYTES_MAX >= BOOK_ITEMS_MAX * (BOOK_ITEM_COST_BYTES + 2));
const _: () = assert!(PERSIST_PER_TURN > 0 && SWEEP_SLOTS > 0);
