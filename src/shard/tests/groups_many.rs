//! A person in very many groups: what it costs to come back to them.

use super::world::World;

const GROUPS: u64 = 500;
/// In so many of them something was said.
const WITH_NEWS: usize = 10;

#[test]
fn of_five_hundred_groups_only_those_with_news_are_read() {
    for cores in [1, 2] {
        let mut world = World::of_cores(cores, |_| {});
        let (ann, bob) = (world.join(1, 1), world.join(2, 1));
        let groups: Vec<u64> = (1..=GROUPS)
            .map(|number| {
                let group = world.group(ann, number, &[2]);
                for c in [ann, bob] {
                    world.ack(c, number);
                    world.told(c);
                }
                world.ack_group(bob, group, 1);
                group
            })
            .collect();
        world.hang_up(bob);
        let news: Vec<u64> = groups.iter().copied().step_by(GROUPS as usize / WITH_NEWS).collect();
        for (number, &group) in (1_000..).zip(&news) {
            world.say(ann, group, number, "news");
        }
        world.crash();
        let bob = world.log_in_from(2, 1, GROUPS);
        world.told(bob);
        let mut cursors: Vec<(u64, u64)> = groups.iter().map(|&group| (group, 1)).collect();
        cursors.sort_unstable();
        let hydrations = |world: &World| -> u64 {
            world.cores.iter().map(|core| core.shard.counters().hydrations).sum()
        };
        let (reads, frames) = (hydrations(&world), world.clients[bob].received_frames);
        world.resume(bob, &cursors);
        assert_eq!(world.heard(bob), vec!["@2 1: news"; WITH_NEWS]);
        assert_eq!(hydrations(&world) - reads, WITH_NEWS as u64, "quiet groups are not read");
        let shards = world.cores.iter().map(|core| &core.shard);
        let (groups_warm, seats) = shards.fold((0, 0), |(groups, seats), shard| {
            (groups + shard.groups.len(), seats + shard.seats.len())
        });
        assert_eq!(groups_warm, WITH_NEWS, "quiet groups take no memory");
        assert!(seats <= WITH_NEWS * usize::from(cores), "{seats}");
        let frames = world.clients[bob].received_frames - frames;
        assert_eq!(frames, WITH_NEWS, "nothing is said of quiet groups");
        for (group, &position) in &world.clients[bob].groups {
            assert_eq!(position, if news.contains(group) { 2 } else { 1 });
        }
        // The quiet ones are there all the same.
        let ann = world.join(1, 1);
        world.told(ann);
        world.say(ann, groups[1], 2_000, "wake up");
        assert_eq!(world.heard(bob), ["@2 1: wake up"]);
    }
}
