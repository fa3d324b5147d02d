//! Who is in which group.

/// Members of the smallest group.
const MEMBERS_MIN: u32 = 3;
/// Members of the largest one.
pub(super) const MEMBERS_MAX: u32 = 64;

/// The users in each of so many groups: each group's members are drawn from all users, and so is its
/// number of members, `s` of it being as likely as `1 / (s (s + 1))`. Half of the groups have up to 5
/// members, one in ten more than 21; the mean is 9.
pub(super) fn draw(groups: usize, users: u32, random: &mut fastrand::Rng) -> Vec<Vec<u32>> {
    (0..groups)
        .map(|_| {
            let members = size(random.f64()).min(users);
            let mut drawn: Vec<u32> = Vec::with_capacity(members as usize);
            while drawn.len() < members as usize {
                let user = random.u32(0..users);
                if !drawn.contains(&user) {
                    drawn.push(user);
                }
            }
            drawn
        })
        .collect()
}

/// The size that a share of all groups stays below: a distribution of Pareto's with its end cut off.
fn size(share: f64) -> u32 {
    let (low, high) = (f64::from(MEMBERS_MIN), f64::from(MEMBERS_MAX + 1));
    let size = low / (1.0 - share * (1.0 - low / high));
    (size as u32).clamp(MEMBERS_MIN, MEMBERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_stated_and_the_same_for_the_same_seed() {
        let groups = draw(10_000, 5_000, &mut fastrand::Rng::with_seed(7));
        let mut sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!((sizes[0], sizes[9_999]), (3, 64));
        assert_eq!(sizes[5_000], 5);
        assert!((19..=23).contains(&sizes[9_000]), "{}", sizes[9_000]);
        let mean = sizes.iter().sum::<usize>() as f64 / 10_000.0;
        assert!((8.7..9.6).contains(&mean), "{mean}");
        for members in &groups {
            let mut once = members.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), members.len());
        }
        assert_eq!(groups, draw(10_000, 5_000, &mut fastrand::Rng::with_seed(7)));
    }

    #[test]
    fn few_users_make_small_groups() {
        let groups = draw(50, 4, &mut fastrand::Rng::with_seed(1));
        assert!(groups.iter().all(|members| (3..=4).contains(&members.len())));
    }
}
