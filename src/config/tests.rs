//! The promises of the configuration: precedence, ranges, errors that help, the example file.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches};
use proptest::prelude::*;

use super::keys::KEYS;
use super::settings::{Given, Settings};
use super::value;
use super::*;

fn machine() -> Machine {
    Machine { cpus: vec![0, 1, 2, 3], descriptors_max: 20_000 }
}

fn flags(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
}

/// Sources with these flags, and a file if the text isn't empty.
fn sources(arguments: &[&str], file: &str) -> Sources {
    let file = (!file.is_empty()).then(|| (PathBuf::from("fulmar.toml"), file.to_owned()));
    Sources { file, ..Sources::read(flags(arguments)).unwrap() }
}

fn resolve(arguments: &[&str], file: &str) -> Result<Config, String> {
    Config::resolve(sources(arguments, file), machine()).map_err(|errors| errors.to_string())
}

const DEV: &str = "--insecure-dev";

#[test]
fn the_example_file_has_every_key_with_its_default() {
    let example = include_str!("../../tuning/fulmar.toml");
    let path = PathBuf::from("tuning/fulmar.toml");
    let sources = Sources { given: Vec::new(), file: Some((path, example.to_owned())) };
    let example = Settings::collect(&sources).unwrap_or_else(|errors| panic!("{errors}"));
    let defaults = Settings::collect(&Sources::default()).unwrap();
    for (example, default) in example.into_list().iter().zip(defaults.into_list()) {
        let name = default.key.name;
        assert!(matches!(example.origin, Origin::File(..)), "{name} is missing in the example");
        assert_eq!(example.value, default.value, "{name}");
    }
}

#[test]
fn defaults_are_those_of_the_table_and_the_machine() {
    let config = resolve(&[DEV], "").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7700");
    assert_eq!(config.control.unwrap().to_string(), "127.0.0.1:7701");
    assert_eq!((config.cores, config.pin), (4, None));
    assert_eq!(config.connections_max, 20_000 - DESCRIPTORS_RESERVED);
    assert_eq!(config.durability, Durability::Fsync);
    assert_eq!(config.retention, Retention::Temporary);
    assert_eq!(config.quota_bytes, 64 << 20);
    assert_eq!(config.window_bytes, 128 << 10);
    assert_eq!(config.body_bytes_max as usize, fulmar_protocol::limits::BODY_BYTES_MAX);
    assert_eq!(config.keys, None);
}

#[test]
fn every_value_reaches_its_field() {
    let file = r#"
        listen = "[::1]:1"
        control = "off"
        data_dir = "/d"
        cores = 2
        pin = 2
        durability = "os"
        retention = "history"
        expiry_days = 31
        quota_messages = 1_001
        quota_bytes = "2 MiB"
        group_quota_messages = 1_002
        group_quota_bytes = "3 MiB"
        group_members_max = 18
        devices_max = 17
        window_messages = 129
        window_bytes = 131_073
        sends_max = 127
        body_bytes_max = "64 KiB"
        idle_seconds = 301
        presence_interval_seconds = 31
        edit_max_age_seconds = 3_601
        hello_timeout_ms = 5001
        frame_timeout_ms = 10001
        receive_buffers = 512
        connections_max = 1000
        keys = "/k"
        insecure_dev = true
        log = "debug"
        log_format = "json"
        segment_mib = 63
        write_buffer_mib = 17
        block_cache_mib = 33
    "#;
    let c = resolve(&[], file).unwrap();
    assert_eq!(c.listen.to_string(), "[::1]:1");
    assert_eq!(c.control, None);
    assert_eq!(c.data_dir, PathBuf::from("/d"));
    assert_eq!((c.cores, c.pin), (2, Some(2)));
    assert_eq!((c.durability, c.retention), (Durability::Os, Retention::History));
    assert_eq!((c.expiry_days, c.quota_messages, c.quota_bytes), (31, 1_001, 2 << 20));
    assert_eq!((c.group_quota_messages, c.group_quota_bytes), (1_002, 3 << 20));
    assert_eq!((c.devices_max, c.group_members_max), (17, 18));
    assert_eq!((c.window_messages, c.window_bytes), (129, 131_073));
    assert_eq!((c.sends_max, c.body_bytes_max, c.idle_seconds), (127, 64 << 10, 301));
    assert_eq!((c.hello_timeout_ms, c.frame_timeout_ms, c.connections_max), (5_001, 10_001, 1_000));
    assert_eq!(c.keys, Some(PathBuf::from("/k")));
    assert!(c.insecure_dev);
    assert_eq!((c.log.as_str(), c.log_format), ("debug", LogFormat::Json));
    assert_eq!((c.segment_mib, c.write_buffer_mib, c.block_cache_mib), (63, 17, 33));
    assert_eq!((c.receive_buffers, c.presence_interval_seconds), (512, 31));
    assert_eq!(c.edit_max_age_seconds, 3_601);
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = "sends_max = 7\nexpiry_days = 8\nidle_seconds = 20";
    let mut sources = sources(&[DEV, "--sends-max", "9"], file);
    let key = KEYS.iter().find(|key| key.name == "expiry_days").unwrap();
    let origin = Origin::Environment(key.variable());
    sources.given.push(Given { key, text: "11".to_owned(), origin });
    let config = Config::resolve(sources, machine()).unwrap();
    assert_eq!((config.sends_max, config.expiry_days, config.idle_seconds), (9, 11, 20));
    assert_eq!(config.frame_timeout_ms, 10_000);
    let text = config.describe();
    for line in [
        "sends_max = 9                              # flag --sends-max",
        "expiry_days = 11                           # environment FULMAR_EXPIRY_DAYS",
        "idle_seconds = 20                          # file fulmar.toml:3",
        "frame_timeout_ms = 10000                   # default",
        "cores = \"auto\"                             # default; here 4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis missing in\n{text}");
    }
}

#[test]
fn the_description_is_a_configuration_file_of_the_same_values() {
    let arguments = [DEV, "--quota-bytes=3GiB", "--pin=1", "--cores=2", "--window-bytes=9999"];
    let config = resolve(&arguments, "").unwrap();
    let again = resolve(&[], &config.describe()).unwrap();
    assert_eq!(config.differing_keys(&again), Vec::<&str>::new());
    let other = resolve(&[DEV, "--log=debug"], "").unwrap();
    assert_eq!(
        config.differing_keys(&other),
        ["cores", "pin", "quota_bytes", "window_bytes", "log"]
    );
}

#[test]
fn an_error_names_key_value_origin_and_range_and_all_are_told() {
    let file = "quota_bytes = 5\nexpiry_days = 1.5\nwindow_mesages = 3\ncolour = \"red\"\n";
    let errors = resolve(&["--devices-max", "65", "--cores=lots"], file).unwrap_err();
    let expected = "\
        cores = \"lots\" (flag --cores); allowed: an integer from 1 to 64, or auto\n\
        devices_max = \"65\" (flag --devices-max); allowed: an integer from 1 to 64\n";
    for line in expected.lines().chain([
        "quota_bytes = \"5\" (file fulmar.toml:1); allowed: bytes from 1 KiB to 1 TiB, as an \
         integer or with a unit (KiB, MiB, GiB, TiB)",
        "expiry_days = \"1.5\" (file fulmar.toml:2); allowed: an integer from 1 to 365",
        "unknown key \"window_mesages\" (file fulmar.toml:3); did you mean window_messages?",
        "unknown key \"colour\" (file fulmar.toml:4); `fulmar serve --help` lists the keys",
    ]) {
        assert!(errors.lines().any(|l| l == line), "{line}\nis missing in\n{errors}");
    }
    assert_eq!(errors.lines().count(), 6);
}

#[test]
fn a_log_filter_names_levels_or_what_logs() {
    for good in [
        "info",
        "WARN",
        "off",
        "warn,fulmar::core_loop=debug",
        "error,hyper=info",
        "fulmar",
        "info,fulmar::control",
        "fulmar::node::workers",
        "info,[connection{slot}]=debug",
        "info,[connection{slot=7}]=debug",
        "info,[connection{is_open=true}]=debug",
    ] {
        assert_eq!(resolve(&[DEV, "--log", good], "").expect(good).log, good);
    }
    for wrong in [
        "inof",
        "info,debgu",
        "fulmar::cor_loop",
        "fulmars",
        "fulmar=inof",
        " ",
        "hyper",
        "info,[connection{slot=.*}]=debug",
    ] {
        let error = resolve(&[DEV, "--log", wrong], "").expect_err(wrong);
        let start = format!("log = {wrong:?} (flag --log); allowed: error, warn, info, debug, ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains("fulmar::{cli,control,core_loop,node}"), "{error}");
    }
}

#[test]
fn the_modules_that_log_are_known() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let logs = |file: &std::path::Path| {
        let text = std::fs::read_to_string(file).unwrap();
        ["debug", "info", "warn", "error"].iter().any(|level| text.contains(&format!("{level}!(")))
    };
    let mut found = Vec::new();
    for module in std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()) {
        let files = std::fs::read_dir(&module).into_iter().flatten();
        if files.map(|entry| entry.unwrap().path()).any(|file| file.is_file() && logs(&file)) {
            found.push(module.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    assert_eq!(found, value::LOGGING_MODULES);
}

#[test]
fn a_file_that_is_no_toml_is_an_error_with_its_line() {
    let error = resolve(&[DEV], "cores = 2\ncores = 3").unwrap_err();
    assert!(error.starts_with("fulmar.toml: "), "{error}");
    assert!(error.contains("line 2"), "{error}");
    for nested in ["[server]\ncores = 2", "cores = [2]", "cores = { n = 2 }", "cores = 2024-01-01"]
    {
        assert!(resolve(&[DEV], nested).is_err(), "{nested}");
    }
}

#[test]
fn a_development_server_is_reachable_from_this_machine_only() {
    let error = resolve(&[DEV, "--listen=0.0.0.0:7700", "--control=192.0.2.1:1"], "").unwrap_err();
    assert!(
        error.starts_with("listen = \"0.0.0.0:7700\" (flag --listen); allowed: with"),
        "{error}"
    );
    assert!(error.contains("\ncontrol = "), "{error}");
    assert!(resolve(&[DEV, "--listen=[::1]:7700", "--control=off"], "").is_ok());
    assert!(resolve(&["--insecure-dev=false", "--listen=0.0.0.0:1", "--keys=k"], "").is_ok());
}

#[test]
fn a_server_has_keys_or_is_a_development_server() {
    let error = resolve(&[], "").unwrap_err();
    assert!(
        error.starts_with("keys = \"none\" (default); allowed: the path of a key file"),
        "{error}"
    );
    assert!(resolve(&["--keys", "keys.toml"], "").is_ok());
}

#[test]
fn values_must_fit_each_other_and_the_machine() {
    for (arguments, key) in [
        (&["--pin=3", "--cores=2"][..], "pin"),
        (&["--pin=9", "--cores=1"], "pin"),
        (&["--connections-max=18977"], "connections_max"),
        (&["--quota-bytes=1KiB"], "quota_bytes"),
        (&["--group-quota-bytes=1KiB"], "group_quota_bytes"),
        (&["--pin=4000", "--cores=64"], "cores"),
        (&["--control=127.0.0.1:7700"], "control"),
    ] {
        let error = resolve(&[&[DEV], arguments].concat(), "").unwrap_err();
        assert!(error.starts_with(&format!("{key} = ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(resolve(&[DEV, "--listen=127.0.0.1:0", "--control=127.0.0.1:0"], "").is_ok());
    assert!(resolve(&[DEV, "--pin=2", "--cores=2"], "").is_ok());
}

#[test]
fn a_gap_in_the_allowed_cpus_is_seen() {
    let machine = Machine { cpus: vec![0, 1, 3, 8], descriptors_max: 20_000 };
    assert_eq!(machine.cpu_list(), "0-1,3,8");
    let sources = sources(&[DEV, "--pin=1", "--cores=2"], "");
    let error = Config::resolve(sources, machine.clone()).unwrap_err().to_string();
    assert!(error.contains("2 consecutive CPUs out of those this process may use: 0-1,3,8"));
    let sources = self::sources(&[DEV, "--pin=0", "--cores=3"], "");
    let error = Config::resolve(sources, machine).unwrap_err().to_string();
    assert!(error.starts_with("cores = \"3\"") && error.contains("at most 2"), "{error}");
}

#[test]
fn two_listeners_have_two_places() {
    let with = |listen: &str, control: &str| {
        let arguments =
            ["--keys=k", &format!("--listen={listen}"), &format!("--control={control}")];
        resolve(&arguments, "").map(|_| ())
    };
    for (listen, control) in [
        ("0.0.0.0:7782", "127.0.0.1:7782"),
        ("127.0.0.1:7782", "0.0.0.0:7782"),
        ("[::]:7782", "127.0.0.1:7782"),
        ("[::]:7782", "[::1]:7782"),
        ("0.0.0.0:7782", "[::]:7782"),
        ("10.0.0.1:7782", "10.0.0.1:7782"),
        ("10.0.0.1:7782", "[::ffff:10.0.0.1]:7782"),
    ] {
        let error = with(listen, control).expect_err(listen);
        assert!(error.starts_with("control = ") && error.contains(listen), "{error}");
    }
    for (listen, control) in [
        ("0.0.0.0:7782", "127.0.0.1:7783"),
        ("0.0.0.0:0", "127.0.0.1:0"),
        ("0.0.0.0:7782", "[::1]:7782"),
        ("10.0.0.1:7782", "127.0.0.1:7782"),
    ] {
        with(listen, control).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_limit_on_descriptors_always_leaves_a_connection() {
    for (descriptors_max, connections_max) in
        [(0, 1), (1, 1), (64, 32), (2_048, 1_024), (20_000, 18_976), (u64::MAX, 100_000_000)]
    {
        let machine = Machine { cpus: vec![0], descriptors_max };
        assert_eq!(machine.connections_max(), connections_max);
    }
}

#[test]
fn bytes_are_read_in_the_usual_ways() {
    let key = KEYS.iter().find(|key| key.name == "quota_bytes").unwrap();
    for (text, bytes) in [
        ("1024", Some(1_024)),
        ("10_000", Some(10_000)),
        ("1KiB", Some(1_024)),
        ("3 MiB", Some(3 << 20)),
        ("1024 GiB", Some(1 << 40)),
        ("2048 B", Some(2_048)),
        ("1025 GiB", None),
        ("1023", None),
        ("1 MB", None),
        ("1.5 MiB", None),
        ("_1024", None),
        ("10__000", None),
        ("-1024", None),
        ("+1024", None),
        ("", None),
        (" KiB", None),
        ("99999999999 GiB", None),
    ] {
        assert_eq!(value::parse(key, text), bytes.map(value::Value::Number), "{text:?}");
    }
}

#[test]
fn a_variable_with_a_typing_error_is_pointed_out() {
    let names = ["PATH", "FULMAR_LISTEN", "FULMAR_CONFIG", "FULMAR_QOUTA_BYTES", "FULMAR_XYZ"];
    let warnings = unknown_variables(names.iter());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("did you mean FULMAR_QUOTA_BYTES?"), "{warnings:?}");
    assert!(warnings[1].contains("FULMAR_XYZ"), "{warnings:?}");
}

#[test]
fn a_new_text_of_the_file_is_judged_under_the_same_flags() {
    let before = resolve(&[DEV, "--sends-max=5"], "log = \"info\"\nsends_max = 6").unwrap();
    let after = before.with_file_text("log = \"debug\"\nsends_max = 7".to_owned()).unwrap();
    assert_eq!(before.file(), Some(std::path::Path::new("fulmar.toml")));
    assert_eq!(before.differing_keys(&after), ["log"]);
    assert_eq!((after.log.as_str(), after.sends_max), ("debug", 5));
    assert!(after.with_file_text("lgo = 1".to_owned()).is_err());
}

proptest! {
    #[test]
    fn any_file_is_a_configuration_or_an_error(text in ".{0,200}") {
        let _ = resolve(&[DEV], &text);
    }

    #[test]
    fn any_value_is_judged(index in 0..KEYS.len(), text in ".{0,40}") {
        if let Some(value) = value::parse(&KEYS[index], &text) {
            let line = format!("{} = {}", KEYS[index].name, value::toml(&KEYS[index], &value));
            let sources = Sources {
                given: Vec::new(),
                file: Some((PathBuf::from("f"), line.clone())),
            };
            let settings = Settings::collect(&sources).unwrap_or_else(|e| panic!("{line}: {e}"));
            prop_assert_eq!(&settings.into_list()[index].value, &value);
        }
    }
}
