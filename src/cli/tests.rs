//! The promises of the command line that need no running server.

use clap::CommandFactory;

use super::*;

fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from([&["fulmar"], arguments].concat()).map(|cli| cli.command)
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_command_lines_that_documents_and_scripts_use_are_understood() {
    for line in [
        "serve --insecure-dev",
        "serve --config f.toml --listen 127.0.0.1:7700 --data-dir d --cores 2 --pin 0 \
         --durability os --retention history --keys k.toml --control off --check",
        "key generate --keys k.toml",
        "key generate --keys k.toml --standby",
        "key list --keys k.toml",
        "key public --keys k.toml",
        "key sign-with --keys k.toml k4.pid.x",
        "token --keys k.toml --user 7 --device 1",
        "token --keys k.toml --user 18446744073709551615 --device 65535 --days 3650",
        "doctor",
        "doctor --connections 1000000 --json",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        assert!(parse(&arguments).is_ok(), "{line}");
    }
}

#[test]
fn nobody_gets_no_token() {
    for line in [
        "token --keys k --user 0 --device 1",
        "token --keys k --user 1 --device 0",
        "token --keys k --user 1 --device 65536",
        "token --keys k --user 1 --device 1 --days 0",
        "token --keys k --user 1",
        "doctor --connections 0",
        "serve --colour red",
        "",
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        assert!(parse(&arguments).is_err(), "{line}");
    }
}

#[test]
fn the_help_of_serve_names_every_flag_with_its_range_and_variable() {
    let mut command = Cli::command();
    let serve = command.find_subcommand_mut("serve").unwrap();
    let help = serve.render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "--quota-bytes <BYTES>",
        "bytes from 1 KiB to 1 TiB",
        "FULMAR_QUOTA_BYTES",
        "--durability <POLICY>",
        "fsync or os; default fsync",
        "--insecure-dev",
        "--config <FILE>",
    ] {
        assert!(help.contains(text), "{text} is missing in\n{help}");
    }
}

#[test]
fn keys_are_made_shown_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let keys = path.to_str().unwrap();
    // --standby has no meaning for the first key: somebody must sign.
    run(parse(&["key", "generate", "--keys", keys, "--standby"]).unwrap()).unwrap();
    run(parse(&["key", "generate", "--keys", keys, "--standby"]).unwrap()).unwrap();
    run(parse(&["token", "--keys", keys, "--user", "7", "--device", "1"]).unwrap()).unwrap();
    let (file, warning) = crate::auth::KeyFile::load(&path).unwrap();
    assert_eq!(warning, None);
    let signing: Vec<bool> = file.list().map(|key| key.signing).collect();
    assert_eq!(signing, [true, false]);
    let second = file.list().nth(1).unwrap().id.to_owned();
    run(parse(&["key", "sign-with", "--keys", keys, &second]).unwrap()).unwrap();
    run(parse(&["key", "list", "--keys", keys]).unwrap()).unwrap();
    run(parse(&["key", "public", "--keys", keys]).unwrap()).unwrap();
    let (file, _) = crate::auth::KeyFile::load(&path).unwrap();
    let signing: Vec<bool> = file.list().map(|key| key.signing).collect();
    assert_eq!(signing, [false, true]);
}

#[test]
fn runs_at_once_lose_no_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let keys = path.to_str().unwrap();
    let generate = || run(parse(&["key", "generate", "--keys", keys]).unwrap()).unwrap();
    std::thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(generate)));
    assert_eq!(crate::auth::KeyFile::load(&path).unwrap().0.list().count(), 8);
}

#[test]
fn a_file_of_public_keys_gets_no_private_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let keys = path.to_str().unwrap();
    run(parse(&["key", "generate", "--keys", keys]).unwrap()).unwrap();
    let public = crate::auth::KeyFile::load(&path).unwrap().0.public().to_text();
    std::fs::write(&path, &public).unwrap();
    let outcome = run(parse(&["key", "generate", "--keys", keys]).unwrap());
    let Err(Failure::Run(message)) = outcome else { panic!("it was accepted") };
    assert!(message.contains("public keys only"), "{message}");
    assert!(message.contains("`fulmar key public`"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), public, "left as it was");
}

#[test]
fn what_is_wrong_with_a_key_file_is_told_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    std::fs::write(&path, "key = 5\n").unwrap();
    let keys = path.to_str().unwrap();
    for command in [
        &["key", "generate", "--keys", keys][..],
        &["token", "--keys", keys, "--user", "7", "--device", "1"],
        &["serve", "--keys", keys, "--check"],
    ] {
        let Err(Failure::Usage(message)) = run(parse(command).unwrap()) else {
            panic!("{command:?}");
        };
        assert!(message.contains(keys) && message.contains("not a key file"), "{message}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "key = 5\n", "left as it was");
}

#[test]
fn what_a_key_file_lacks_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let keys = path.to_str().unwrap();
    let list = || run(parse(&["key", "list", "--keys", keys]).unwrap());
    let Err(Failure::Run(message)) = list() else { panic!("there is no file") };
    assert!(message.contains("`fulmar key generate --keys"), "{message}");
    run(parse(&["key", "generate", "--keys", keys]).unwrap()).unwrap();
    let command = parse(&["key", "sign-with", "--keys", keys, "k4.pid.x"]).unwrap();
    let Err(Failure::Usage(message)) = run(command) else { panic!("there is no such key") };
    assert_eq!(message, "the key file has no key \"k4.pid.x\"");
}

#[test]
fn the_check_looks_at_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let check = || run(parse(&["serve", "--insecure-dev", "--data-dir", path, "--check"]).unwrap());
    check().unwrap();
    std::fs::write(directory.path().join("FORMAT"), "fulmar data 3\n").unwrap();
    let Err(Failure::Usage(message)) = check() else { panic!("it was accepted") };
    assert!(message.starts_with("data_dir = \"") && message.contains("fulmar data 3"), "{message}");
}

#[test]
fn a_wrong_configuration_is_told_before_anything_is_opened() {
    let command = parse(&["serve", "--insecure-dev", "--listen", "0.0.0.0:1"]).unwrap();
    let Err(Failure::Usage(message)) = run(command) else { panic!("it was accepted") };
    assert!(message.starts_with("listen = \"0.0.0.0:1\" (flag --listen); allowed: "), "{message}");
    let command = parse(&["serve", "--config", "/nowhere/fulmar.toml"]).unwrap();
    let Err(Failure::Usage(message)) = run(command) else { panic!("it was accepted") };
    assert!(message.contains("/nowhere/fulmar.toml"), "{message}");
}
