//! What the shard promises, as scripts: clients that speak real bytes, a disk that commits when the
//! script says so, letters between cores. Each test's name is a promise.

mod by_person;
mod client;
mod contents;
mod delivery;
mod devices;
mod disappearing;
mod disk;
mod groups;
mod groups_bounds;
mod groups_hostile;
mod groups_large;
mod groups_members;
mod groups_receipts;
mod groups_roles;
mod groups_shown;
mod history;
mod large;
mod login;
mod memory;
mod people_block;
mod people_book;
mod people_bounds;
mod people_mates;
mod people_names;
mod people_privacy;
mod people_profile;
mod people_random;
mod presence;
mod presence_random;
mod random;
mod receipts;
mod sending;
mod typing;
mod uploads;
mod world;
