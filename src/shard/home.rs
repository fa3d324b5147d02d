//! Which core the state of a user or a group lives on.

use super::seam::{CoreId, GroupId, UserId};

/// The home core of `user`, or of the group with this number, among `cores` cores (at least one).
///
/// Jump consistent hash (Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm",
/// 2014): when a core is added only the users that move to it change their home. The user number
/// is mixed first (the finaliser of splitmix64), since consecutive numbers are usual.
#[must_use]
pub fn home_core(user: UserId, cores: u16) -> CoreId {
    debug_assert!(cores > 0);
    if cores == 1 {
        return 0;
    }
    let mut key = mix(user);
    let mut bucket = 0i64;
    let mut next = 0i64;
    while next < i64::from(cores) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let ratio = (1u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * ratio) as i64;
    }
    bucket as CoreId
}

/// The groups, each with its head, that have their home on each of `cores` cores.
#[must_use]
pub fn by_home_core(heads: Vec<(GroupId, u64)>, cores: u16) -> Vec<Vec<(GroupId, u64)>> {
    let mut parts = vec![Vec::new(); usize::from(cores)];
    for (group, head) in heads {
        parts[usize::from(home_core(group, cores))].push((group, head));
    }
    parts
}

pub(super) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_spread_evenly() {
        for cores in [2u16, 3, 7, 16] {
            let mut counts = vec![0u32; usize::from(cores)];
            for user in 1..=100_000 {
                counts[usize::from(home_core(user, cores))] += 1;
            }
            let mean = 100_000 / u32::from(cores);
            assert!(counts.iter().all(|&count| count.abs_diff(mean) < mean / 10), "{counts:?}");
        }
    }

    #[test]
    fn each_group_is_told_to_its_home() {
        let parts = by_home_core((1..100).map(|group| (group, 2 * group)).collect(), 3);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 99);
        for (core, part) in (0..).zip(parts) {
            assert!(part.iter().all(|&(group, _)| home_core(group, 3) == core));
            assert!(part.iter().all(|&(group, head)| head == 2 * group));
        }
    }

    #[test]
    fn a_new_core_takes_users_and_moves_no_others() {
        for user in 1..10_000 {
            let (before, after) = (home_core(user, 7), home_core(user, 8));
            assert!(after == before || after == 7);
        }
    }
}
