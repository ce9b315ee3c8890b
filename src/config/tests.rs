use super::*;

fn load(toml: Option<&str>, env: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DEFAULT_FILE);
    if let Some(toml) = toml {
        std::fs::write(&path, toml).unwrap();
    }
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(toml.map(|_| path.as_path()), env)
}

fn messages(toml: Option<&str>, env: &[(&str, &str)]) -> Vec<(String, String)> {
    let faults = load(toml, env).expect_err("there are faults").faults;
    faults.into_iter().map(|fault| (fault.key, fault.message)).collect()
}

#[test]
fn without_file_and_environment_there_are_defaults_for_one_machine() {
    let config = load(None, &[]).unwrap();
    assert_eq!(config.database.reveal(), "sqlite:countersign.db");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.public_origin.as_ref(), config.trusted_proxy.len()), (None, 0));
    assert_eq!((config.max_upload_bytes, config.max_log_bytes), (10_485_760, 5_242_880));
    assert_eq!(config.session_idle, SignedDuration::from_hours(12));
    assert_eq!(config.session_max, SignedDuration::from_hours(168));
    assert_eq!((config.log_format, config.log_level.as_str()), (LogFormat::Text, "info"));
    assert_eq!(config.header_read_timeout, Duration::from_secs(10));
    assert_eq!(config.grant_key_path(), Path::new("./grant.key"));
    assert!(!config.secure_cookies());
}

#[test]
fn every_setting_is_read_from_the_file_and_the_environment_wins() {
    let file = r#"
        database = "postgres://portal:hunter2@db/countersign"
        listen = "0.0.0.0:9000"
        public_origin = "https://changes.example.org"
        trusted_proxy = ["10.0.0.0/8", "::1"]
        data_dir = "/var/lib/countersign"
        max_upload_bytes = 2048
        max_log_bytes = 4096
        session_idle = "30m"
        session_max = "1d"
        log_format = "json"
        log_level = "warn,countersign=debug"
        header_read_timeout = "5s"
    "#;
    let config = load(Some(file), &[]).unwrap();
    assert_eq!(config.database.reveal(), "postgres://portal:hunter2@db/countersign");
    assert_eq!(config.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.public_origin.as_ref().unwrap().as_str(), "https://changes.example.org");
    assert_eq!(config.trusted_proxy.len(), 2);
    assert_eq!(config.grant_key_path(), Path::new("/var/lib/countersign/grant.key"));
    assert_eq!((config.max_upload_bytes, config.max_log_bytes), (2048, 4096));
    assert_eq!(config.session_idle, SignedDuration::from_mins(30));
    assert_eq!(config.session_max, SignedDuration::from_hours(24));
    assert_eq!((config.log_format, config.log_level.as_str()), (LogFormat::Json, "warn,countersign=debug"));
    assert_eq!(config.header_read_timeout, Duration::from_secs(5));
    assert!(config.secure_cookies());

    let env = [
        ("COUNTERSIGN_LISTEN", "[::]:9001"),
        ("COUNTERSIGN_TRUSTED_PROXY", "192.0.2.1, 192.0.2.2,192.0.2.3"),
        ("COUNTERSIGN_MAX_UPLOAD_BYTES", "8192"),
        ("COUNTERSIGN_SESSION_IDLE", "45m"),
        ("COUNTERSIGN_LOG_FORMAT", ""),
    ];
    let config = load(Some(file), &env).unwrap();
    assert_eq!(config.listen.to_string(), "[::]:9001");
    assert_eq!(config.trusted_proxy.len(), 3);
    assert_eq!((config.max_upload_bytes, config.max_log_bytes), (8192, 4096));
    assert_eq!(config.session_idle, SignedDuration::from_mins(45));
    assert_eq!(config.log_format, LogFormat::Json, "an empty variable is not set");
}

#[test]
fn the_table_of_keys_is_what_is_read() {
    // A value no setting accepts: every key must complain of it exactly once.
    let env: Vec<_> = KEYS.iter().map(|key| format!("COUNTERSIGN_{}", key.to_uppercase())).collect();
    let env: Vec<_> = env.iter().map(|name| (name.as_str(), " ")).collect();
    let mut faulty: Vec<_> = messages(None, &env).into_iter().map(|(key, _)| key).collect();
    faulty.sort();
    assert_eq!(faulty, KEYS);
}

#[test]
fn all_faults_come_at_once_each_with_its_source() {
    let file = "listen = 8080\nmax_upload_bytes = -1\nlog_format = true\nsession_idel = '1h'\n";
    let env = [("COUNTERSIGN_SESSION_MAX", "1w"), ("COUNTERSIGN_LOGLEVEL", "info")];
    let error = load(Some(file), &env).unwrap_err();
    let mut seen: Vec<_> = error.faults.iter().map(|f| (f.key.as_str(), f.source.clone())).collect();
    seen.sort_by_key(|(key, _)| key.to_owned());
    let keys: Vec<_> = seen.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["listen", "log_format", "loglevel", "max_upload_bytes", "session_idel", "session_max"]);
    assert!(matches!(&seen[0].1, Source::File(path) if path.ends_with(DEFAULT_FILE)));
    assert_eq!(seen[5].1, Source::Environment("COUNTERSIGN_SESSION_MAX".to_owned()));
    let text = error.to_string();
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(text.contains("is not a setting; did you mean session_idle?"), "{text}");
    assert!(text.contains("is not a setting; did you mean COUNTERSIGN_LOG_LEVEL?"), "{text}");
}

#[test]
fn a_name_like_no_other_gets_no_suggestion() {
    assert_eq!(messages(Some("colour = 'red'"), &[]), [("colour".to_owned(), "is not a setting".to_owned())]);
}

#[test]
fn variables_of_the_client_of_kubernetes_and_of_others_are_let_be() {
    load(
        None,
        &[
            ("COUNTERSIGN_URL", "https://changes.example.org"),
            ("COUNTERSIGN_API_TOKEN", "csp_x"),
            ("COUNTERSIGN_PORT", "tcp://10.0.0.1:80"),
            ("COUNTERSIGN_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
            ("LISTEN", "nonsense"),
            ("countersign_listen", "nonsense"),
        ],
    )
    .unwrap();
}

#[test]
fn rule_29_plain_http_beyond_this_machine_is_refused_until_a_proxy_and_an_https_origin_are_named() {
    let origin = ("COUNTERSIGN_PUBLIC_ORIGIN", "https://changes.example.org");
    let plain = ("COUNTERSIGN_PUBLIC_ORIGIN", "http://changes.example.org");
    let proxy = ("COUNTERSIGN_TRUSTED_PROXY", "10.0.0.0/8");
    for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let listen = ("COUNTERSIGN_LISTEN", listen);
        for (env, named) in [
            (vec![listen], "set public_origin (https://…) and trusted_proxy"),
            (vec![listen, proxy], "set public_origin (https://…)"),
            (vec![listen, proxy, plain], "set public_origin (https://…)"),
            (vec![listen, origin], "set trusted_proxy"),
        ] {
            let faults = messages(None, &env);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert_eq!(faults[0].0, "listen");
            assert!(faults[0].1.contains(named), "{faults:?}");
        }
        assert!(load(None, &[listen, origin, proxy]).unwrap().secure_cookies());
    }
}

#[test]
fn on_this_machine_http_is_for_localhost_only() {
    let with = |origin| load(None, &[("COUNTERSIGN_PUBLIC_ORIGIN", origin)]);
    assert!(!with("http://localhost:8080").unwrap().secure_cookies());
    assert!(with("https://changes.example.org").unwrap().secure_cookies());
    let error = with("http://changes.example.org").unwrap_err().to_string();
    assert!(
        error.starts_with("public_origin (COUNTERSIGN_PUBLIC_ORIGIN) must begin with https://"),
        "{error}"
    );
    for listen in ["127.0.0.5:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        load(None, &[("COUNTERSIGN_LISTEN", listen)]).unwrap();
    }
}

#[test]
fn an_address_that_cannot_be_read_is_one_fault_not_two() {
    let env = [("COUNTERSIGN_LISTEN", "0.0.0.0:8080"), ("COUNTERSIGN_TRUSTED_PROXY", "proxy")];
    let faults = messages(None, &env);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].0, "trusted_proxy");
}

#[test]
fn sessions_cannot_idle_longer_than_they_live() {
    let faults = messages(Some("session_idle = '2d'\nsession_max = '1d'"), &[]);
    assert_eq!(faults, [("session_idle".to_owned(), "is longer than session_max".to_owned())]);
}

#[test]
fn bounds_are_part_of_a_setting() {
    for (key, refused, accepted) in [
        ("header_read_timeout", ["0s", "121s"], ["1s", "2m"]),
        ("max_upload_bytes", ["1023", "268435457"], ["1024", "268435456"]),
        ("session_max", ["99999999999999999999d", "-1h"], ["12h", "366d"]),
    ] {
        for value in refused {
            let faults = messages(Some(&format!("{key} = '{value}'")), &[]);
            assert_eq!(faults.iter().filter(|(faulty, _)| faulty == key).count(), 1, "{key} {value}");
        }
        for value in accepted {
            load(Some(&format!("{key} = '{value}'")), &[]).unwrap();
        }
    }
}

#[test]
fn no_fault_and_no_debug_shows_the_password_of_the_database() {
    let url = "postgres://portal:hunter2@db/x";
    let config = load(None, &[("COUNTERSIGN_DATABASE", url)]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for file in [
        "database = 'mysql://portal:hunter2@db/x'".to_owned(),
        format!("database = '{url}"),
        format!("database = {url}"),
        format!("database = '{url}'\ndatabase = '{url}'"),
        format!("database = ['{url}', '{url}']"),
    ] {
        let error = load(Some(&file), &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_a_fault_of_the_file() {
    let error = Config::load(Some(Path::new("/nowhere/countersign.toml")), std::iter::empty()).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/countersign.toml can’t be read"), "{error}");
    let error = load(Some("listen = '127.0.0.1:1'\n\nlog_level =\n"), &[]).unwrap_err();
    assert!(error.to_string().contains("is not TOML: line 3"), "{error}");
}
