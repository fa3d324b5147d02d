//! What happened in a world, counted, so that a fault that no world has is noticed.

use std::fmt;

use fulmar::shard::Counters;
use fulmar_protocol::Code;

/// Declares the things that are counted; those marked `required` must happen in any larger set of seeds.
macro_rules! happenings {
    ($($variant:ident $name:literal $required:ident),+ $(,)?) => {
        /// Something worth counting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Happening { $($variant,)+ }

        /// Name of each, and whether it is required.
        const HAPPENINGS: &[(&str, bool)] = &[$(($name, happenings!(@ $required)),)+];
    };
    (@ required) => { true };
    (@ optional) => { false };
}

happenings! {
    // Faults of the server's machine.
    Kill "node_kills" required,
    PowerCut "node_power_cuts" required,
    CleanStop "node_clean_stops" required,
    Emptied "nodes_emptied" required,
    EmptyDisk "disks_emptied" required,
    SlowStop "node_stops_that_took_too_long" optional,
    CrashInRecovery "node_crashes_in_recovery" required,
    CommitFailed "commits_failed" required,
    DrainFailed "drains_failed" optional,
    TornWrite "torn_writes" required,
    LostWrites "power_cuts_that_lost_writes" required,
    CrashBeforeConfirm "crashes_between_commit_and_confirm" required,
    ConfigChange "config_changes" required,
    CoresChange "cores_changed" required,
    RetentionChange "retention_changed" required,
    QuotaChange "quota_changed" required,
    ExpiryChange "expiry_changed" required,
    BytesChange "quota_of_bytes_changed" required,
    GroupQuotaChange "quota_of_groups_changed" required,
    MembersChange "member_limit_changed" required,
    CoreStall "cores_stalled" required,
    JournalStall "journal_stalled" required,
    ClockForward "clock_jumps_forward" required,
    ClockBack "clock_jumps_back" required,
    // Inside the node.
    Turn "turns" required,
    SpuriousWake "spurious_wake_ups" required,
    BellWake "wake_ups_by_bell" required,
    TimerWake "wake_ups_by_timer" required,
    SocketWake "wake_ups_by_socket" required,
    FullRing "full_mesh_rings" required,
    FullJournalRing "full_journal_rings" required,
    FullJobs "full_job_queues" required,
    FullAnswers "full_answer_queues" required,
    Gated "gated_sockets" required,
    Paused "paused_sockets" required,
    HandOver "connections_handed_over" required,
    LateAnswer "late_answers" required,
    Commit "commits" required,
    Drained "segments_drained" required,
    ExpiredBehind "entries_expired_in_the_database" required,
    LevelOne "overload_level_1" required,
    LevelTwo "overload_level_2" required,
    LevelThree "overload_level_3" required,
    LevelFour "overload_level_4" required,
    LevelFive "overload_level_5" required,
    // Connections.
    Connect "connects" required,
    ConnectRefused "connects_refused" required,
    ConnectLost "connects_without_answer" required,
    ConnectTwice "connects_that_came_twice" required,
    SplitRead "split_reads" required,
    Cut "connections_cut" required,
    CutFrame "frames_cut" required,
    Vanished "connections_vanished" required,
    Roamed "clients_that_moved_without_a_word" required,
    StalledReader "stalled_readers" required,
    ShortWrite "server_writes_that_had_to_wait" required,
    TurnedAway "connections_turned_away" required,
    // Devices and people.
    DeviceCrash "device_crashes" required,
    DeviceLostBatch "device_crashes_that_lost_a_batch" required,
    DeviceAway "devices_away" required,
    Reinstall "devices_reinstalled" required,
    DeviceLost "devices_lost_for_good" required,
    SlowStore "slow_device_stores" required,
    Send "messages_written" required,
    LargeSend "large_messages_written" required,
    EmptySend "empty_messages_written" required,
    SelfSend "messages_to_oneself" required,
    Burst "bursts" required,
    Reread "messages_read" required,
    SendAgain "rejected_messages_sent_again" required,
    Resend "sends_repeated_after_a_break" required,
    RepeatedDelivery "messages_delivered_again" required,
    Replaced "devices_replaced" required,
    // What the oracle saw.
    Tick "ticks" required,
    Rejection "rejections" required,
    Delivery "deliveries" required,
    LargeDelivery "large_deliveries" required,
    CopyDelivery "copies_delivered" required,
    Skip "skips" required,
    Receipt "receipts" required,
    OwnReceipt "own_receipts" required,
    Expired "messages_expired" required,
    RepeatTick "resends_answered_with_the_first_ordinal" required,
    Takeover "takeovers_told" required,
    // Groups.
    GroupMade "groups_made" required,
    GroupSend "group_messages_written" required,
    GroupTick "group_ticks" required,
    GroupRepeatTick "group_resends_answered_with_the_first_position" required,
    GroupResend "group_sends_repeated_after_a_break" required,
    GroupDelivery "group_deliveries" required,
    GroupLarge "group_large_deliveries" required,
    GroupSkip "group_skips" required,
    GroupResume "groups_resumed" required,
    GroupNotice "group_notices" required,
    GroupAddedAway "members_added_while_away" required,
    GroupAdd "group_members_added" required,
    GroupRemove "group_members_removed" required,
    GroupLeave "group_members_left" required,
    GroupDelete "groups_deleted" required,
    GroupChange "other_group_changes" required,
    GroupGone "groups_told_as_gone" required,
    GroupLooked "groups_looked_at" required,
    GroupReceipt "group_receipts" required,
    GroupSeen "groups_read" required,
    GroupSeenElsewhere "groups_read_elsewhere" required,
    GroupStranger "strangers_refused_by_groups" required,
    GroupNotAllowed "members_refused_by_groups" required,
    GroupBadChange "senseless_group_changes" required,
    GroupQuota "full_group_logs" required,
    GroupFull "full_groups" required,
    GroupExpired "group_entries_expired" required,
    GroupsRested "nodes_in_which_all_groups_rested" required,
    Reunion "people_who_parted_and_came_back" required,
    GroupHole "group_logs_known_in_part" optional,
    // What refers to other messages.
    Edit "messages_edited" required,
    Delete "messages_deleted_for_everyone" required,
    React "reactions" required,
    Unreact "reactions_taken_back" required,
    Mention "mentions" required,
    WrongReference "references_that_may_not_be" required,
    Senseless "senseless_contents_refused" required,
    NoSuchMessage "references_to_nothing_refused" required,
    NotYours "changes_of_others_messages_refused" required,
    TooOld "late_changes_refused" required,
    Changed "messages_changed_in_the_end" required,
    // Messages that disappear.
    FadingSend "disappearing_messages_written" required,
    TimerSet "timers_set" required,
    FadingDelivery "disappearing_messages_delivered" required,
    NothingOver "disks_without_what_is_over" required,
    // Books.
    Put "items_put" required,
    PutOut "items_removed" required,
    PutRejected "puts_refused" required,
    BookItem "items_told" required,
    BookPage "book_pages" required,
    Block "blocks" required,
    Unblock "blocks_taken_back" required,
    Dropped "messages_dropped_for_a_block" required,
    // What people show of themselves.
    ProfilePut "profiles_put" required,
    NamePut "usernames_put" required,
    NameReleased "usernames_given_back" required,
    PrivacyPut "privacy_settings_put" required,
    ProfileLook "profiles_looked_at" required,
    Find "usernames_asked_for" required,
    ProfileTold "profiles_told" required,
    ProfileHidden "profiles_hidden_for_a_block" required,
    ProfileNews "profile_news_told" required,
    NameFound "usernames_found" required,
    NameNobody "usernames_of_nobody" required,
    NameHidden "usernames_hidden" required,
    NameTaken "usernames_taken" required,
    ReadHidden "reads_hidden" required,
    // Presence and typing.
    TakenUp "programs_taken_up" required,
    PutDown "programs_put_down" required,
    Watch "people_watched" required,
    Unwatch "people_watched_no_more" required,
    Types "people_who_write" required,
    PresenceTold "presences_told" required,
    PresenceChange "presence_changes_told" required,
    PresenceOnline "people_told_as_there" required,
    PresenceHidden "presences_hidden" required,
    TypingTold "typing_told" required,
    GroupTypingTold "typing_in_groups_told" required,
    // The past.
    LookBack "pasts_fetched" required,
    Page "pages" required,
    Past "entries_of_pages" required,
    // Clients that misbehave.
    RogueConnect "rogue_connects" required,
    RogueEnded "rogue_connections_ended_by_the_server" required,
    RogueGarbage "rogue_garbage" required,
    RogueHalfFrame "rogue_half_frames" required,
    RogueResend "rogue_resends" required,
    RogueOtherBody "rogue_resends_with_another_body" required,
    RogueLie "rogue_cursors_that_lie" required,
    RogueAckAhead "rogue_acks_ahead" required,
    RogueReadAhead "rogue_reads_ahead" required,
    RogueEarly "rogue_frames_before_hello" required,
    RogueChatter "rogue_frames_after_hello" required,
    RogueBadPart "rogue_parts_that_dont_fit" required,
    RogueUnfinished "rogue_bodies_left_unfinished" required,
    RogueFlood "rogue_floods" required,
    RogueTwin "rogue_twins_of_devices" required,
    RogueSilent "rogue_silence" required,
    RogueGroup "rogue_groups" required,
    RogueGroupLie "rogue_cursors_in_groups_that_lie" required,
    RogueGroupAckAhead "rogue_group_acks_ahead" required,
    RogueGroupReadAhead "rogue_group_reads_ahead" required,
    RogueGroupOtherBody "rogue_group_resends_with_another_body" required,
    RogueStranger "rogue_changes_of_groups_of_others" required,
    RogueNoGroup "rogue_frames_about_groups_that_there_arent" required,
    RogueTwoPages "rogue_pages_at_once" required,
    RogueBadPut "rogue_puts_of_what_no_book_has" required,
    RogueWatchesMany "rogue_watches_of_too_many" required,
    RogueFindFlood "rogue_floods_of_questions" required,
}

/// Codes that must be seen in each kind of answer.
const REFUSED: &[Code] = &[
    Code::MalformedFrame,
    Code::FrameTooLarge,
    Code::UnexpectedFrame,
    Code::NotFulmar,
    Code::UnsupportedVersion,
    Code::HelloTimeout,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::TokenMismatch,
    Code::TokenRequired,
    Code::BadIdentity,
    Code::TooManyDevices,
    Code::Overloaded,
    Code::ShuttingDown,
];
const REJECTED: &[Code] =
    &[Code::BodyTooLarge, Code::QuotaExceeded, Code::StaleNumber, Code::BadPeer];
const GOODBYES: &[Code] = &[
    Code::MalformedFrame,
    Code::FrameTooLarge,
    Code::UnexpectedFrame,
    Code::UnknownKind,
    Code::FrameTimeout,
    Code::IdleTimeout,
    Code::CursorAhead,
    Code::UnexpectedPart,
    Code::Replaced,
    Code::ShuttingDown,
];

/// See the module's description.
#[derive(Debug, Clone)]
pub struct Coverage {
    happenings: Vec<u64>,
    shards: Counters,
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage { happenings: vec![0; HAPPENINGS.len()], shards: Counters::default() }
    }
}

impl Coverage {
    pub(crate) fn hit(&mut self, happening: Happening) {
        self.happenings[happening as usize] += 1;
    }

    pub(crate) fn add(&mut self, happening: Happening, count: u64) {
        self.happenings[happening as usize] += count;
    }

    /// Takes in what a shard counted in its life.
    pub(crate) fn shard(&mut self, counters: &Counters) {
        let sum = &mut self.shards;
        for (sum, count) in [
            (&mut sum.hydrations, counters.hydrations),
            (&mut sum.cold_reads, counters.cold_reads),
            (&mut sum.evictions, counters.evictions),
            (&mut sum.takeovers, counters.takeovers),
            (&mut sum.windows_full, counters.windows_full),
            (&mut sum.receipts_held, counters.receipts_held),
            (&mut sum.receipts_stalled, counters.receipts_stalled),
            (&mut sum.letters, counters.letters),
            (&mut sum.pauses, counters.pauses),
            (&mut sum.messages, counters.messages),
        ] {
            *sum += count;
        }
        for (sums, counts) in [
            (&mut sum.refused, &counters.refused),
            (&mut sum.rejected, &counters.rejected),
            (&mut sum.goodbyes, &counters.goodbyes),
        ] {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }

    /// Adds another world's counts.
    pub fn merge(&mut self, other: &Coverage) {
        self.happenings.iter_mut().zip(&other.happenings).for_each(|(sum, count)| *sum += count);
        self.shard(&other.shards);
    }

    /// Every count with its name, and whether it is required.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64, bool)> {
        let shards = &self.shards;
        let mut counts: Vec<_> = HAPPENINGS
            .iter()
            .zip(&self.happenings)
            .map(|(&(name, is_required), &count)| (name.to_owned(), count, is_required))
            .collect();
        for (name, count) in [
            ("hydrations", shards.hydrations),
            ("cold_reads", shards.cold_reads),
            ("evictions", shards.evictions),
            ("takeovers", shards.takeovers),
            ("full_windows", shards.windows_full),
            ("receipts_held", shards.receipts_held),
            ("receipts_stalled", shards.receipts_stalled),
            ("letters", shards.letters),
            ("pauses", shards.pauses),
        ] {
            counts.push((name.to_owned(), count, true));
        }
        for (kind, by_code, required) in [
            ("refused", &shards.refused, REFUSED),
            ("rejected", &shards.rejected, REJECTED),
            ("goodbye", &shards.goodbyes, GOODBYES),
        ] {
            for (&code, &count) in Code::ALL.iter().zip(by_code) {
                let is_required = required.contains(&code);
                if is_required || count > 0 {
                    counts.push((format!("{kind}.{}", code.name()), count, is_required));
                }
            }
        }
        counts
    }

    /// What happened, in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let happened = self.counts().into_iter().filter(|(_, count, _)| *count > 0);
        let words: Vec<String> =
            happened.map(|(name, count, _)| format!("{name} {count}")).collect();
        words.join(", ")
    }

    /// Names of what is required and never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let never = |(name, count, is_required): (String, u64, bool)| {
            (is_required && count == 0).then_some(name)
        };
        self.counts().into_iter().filter_map(never).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count, _) in self.counts() {
            if count > 0 {
                writeln!(f, "  {count:>10}  {name}")?;
            }
        }
        Ok(())
    }
}
