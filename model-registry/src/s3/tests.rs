use super::*;
use std::collections::BTreeMap;

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn options(pairs: &[(&str, &str)]) -> S3Options {
    S3Options::from_variables(&variables(pairs)).unwrap()
}

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "who"),
    ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
];

#[test]
fn narrower_variable_wins_and_an_empty_one_is_unset() {
    let found = options(&[
        ("AWS_ENDPOINT_URL_S3", "http://narrow:9000"),
        ("AWS_ENDPOINT_URL", "http://wide"),
        ("AWS_REGION", ""),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_PROFILE", "not looked at"),
    ]);
    assert_eq!(found.endpoint.unwrap().to_string(), "http://narrow:9000");
    assert_eq!(found.region.unwrap().to_string(), "eu-central-1");
    assert_eq!(found.credentials, None);
}

#[test]
fn keys_count_before_a_web_identity_and_that_before_a_container() {
    let container = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/v1/credentials",
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/token"),
    ];
    let role = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shelf"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/web-token"),
    ];
    let all = [&KEYS[..], &role, &container].concat();
    let credentials = |pairs: &[(&str, &str)]| options(pairs).credentials.unwrap();
    assert!(matches!(credentials(&all), S3Credentials::Keys { .. }));
    assert!(matches!(
        credentials(&all[2..]),
        S3Credentials::WebIdentity { .. }
    ));
    assert!(matches!(
        credentials(&all[4..]),
        S3Credentials::ContainerFull { .. }
    ));
    let relative = [(
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "/v2/credentials/x",
    )];
    assert!(matches!(
        credentials(&relative),
        S3Credentials::ContainerRelative { .. }
    ));
}

#[test]
fn every_problem_names_its_variable_and_no_secret() {
    let wrong = S3Options::from_variables(&variables(&[
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shelf"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "nowhere"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
        ("AWS_ENDPOINT_URL", "http://user:hush-hush@host/path"),
        ("AWS_REGION", "EU Central"),
    ]));
    let said: Vec<String> = wrong.unwrap_err().iter().map(ToString::to_string).collect();
    let beginnings = [
        "AWS_ENDPOINT_URL \"host/path\" is refused: http://host or https://host",
        "AWS_REGION \"EU Central\" is refused: 1 to 63 of a-z, 0-9 and -",
        "AWS_ACCESS_KEY_ID \"\" is refused: it has to be set where AWS_SECRET_ACCESS_KEY is",
        "AWS_WEB_IDENTITY_TOKEN_FILE \"\" is refused: it has to be set where AWS_ROLE_ARN is",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI \"nowhere\" is refused: a path",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI \"\" is refused: it has to be set",
    ];
    assert_eq!(said.len(), beginnings.len(), "{said:#?}");
    for (said, beginning) in said.iter().zip(beginnings) {
        assert!(said.starts_with(beginning), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn custom_sts_endpoint_must_use_tls() {
    let role = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shelf"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/web-token"),
    ];
    let with = |endpoint| S3Options::from_variables(&variables(&[&role[..], &[endpoint]].concat()));
    let found = with(("AWS_ENDPOINT_URL_STS", "https://minio:9000")).unwrap();
    let shown = format!("{:?}", client("shelf", &found).unwrap());
    assert!(
        shown.contains("endpoint: \"https://minio:9000\""),
        "{shown}"
    );
    let refused = with(("AWS_ENDPOINT_URL_STS", "http://minio:9000")).unwrap_err();
    let said = refused[0].to_string();
    let begins = "AWS_ENDPOINT_URL_STS \"http://minio:9000\" is refused: https://host";
    assert!(said.starts_with(begins), "{said}");
    // Where the bucket is says nothing of who gives roles.
    let found = with(("AWS_ENDPOINT_URL", "https://minio:9000")).unwrap();
    let shown = format!("{:?}", client("shelf", &found).unwrap());
    assert!(
        shown.contains("https://sts.us-east-1.amazonaws.com"),
        "{shown}"
    );
}

#[test]
fn no_secret_is_printed() {
    let token = [("AWS_SESSION_TOKEN", "hush-token")];
    let shown = format!("{:?}", options(&[&KEYS[..], &token].concat()));
    assert!(shown.contains("who") && !shown.contains("hush"), "{shown}");
    let opened = crate::Registry::open("s3://bucket/x", &options(&KEYS)).unwrap();
    let shown = format!("{opened:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn endpoints_are_a_scheme_and_a_host() {
    for good in [
        "http://127.0.0.1:9000",
        "https://s3.example.org/",
        "http://[::1]:1",
    ] {
        let endpoint: S3Endpoint = good.parse().unwrap();
        assert_eq!(endpoint.to_string(), good.trim_end_matches('/'));
    }
    for bad in [
        "",
        "host:9000",
        "ftp://host",
        "http://",
        "http:///x",
        "http://host/path",
        "http://host?x",
        "http://a b",
    ] {
        assert!(bad.parse::<S3Endpoint>().is_err(), "{bad}");
    }
}

/// Where the client of bucket `shelf` sends its requests, by its own description.
fn shown_client(endpoint: Option<&str>, style: PathStyle) -> String {
    let options = S3Options {
        endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
        path_style: style,
        ..options(&KEYS)
    };
    format!("{:?}", client("shelf", &options).unwrap())
}

#[test]
fn bucket_stands_in_the_path_where_an_endpoint_is_given() {
    let minio = Some("http://minio:9000");
    for (endpoint, style, url) in [
        (
            None,
            PathStyle::Auto,
            "https://shelf.s3.us-east-1.amazonaws.com",
        ),
        (
            None,
            PathStyle::Always,
            "https://s3.us-east-1.amazonaws.com/shelf",
        ),
        (minio, PathStyle::Auto, "http://minio:9000/shelf"),
        (minio, PathStyle::Never, "http://shelf.minio:9000"),
    ] {
        let shown = shown_client(endpoint, style);
        assert!(
            shown.contains(&format!("bucket_endpoint: \"{url}\"")),
            "{url}: {shown}"
        );
    }
}

#[test]
fn only_the_registry_retries_and_times_out() {
    let shown = shown_client(None, PathStyle::Auto);
    assert!(shown.contains("max_retries: 0"), "{shown}");
    assert!(shown.contains(" timeout: None"), "{shown}");
    assert!(shown.contains("allow_http: Parsed(false)"), "{shown}");
    assert!(shown_client(Some("http://h"), PathStyle::Auto).contains("allow_http: Parsed(true)"));
}

#[test]
fn bucket_without_credentials_is_refused_without_a_request() {
    let error = crate::Registry::open("s3://shelf/x", &S3Options::default()).unwrap_err();
    assert_eq!(error.kind(), "invalid");
    for said in [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "metadata service is not used",
    ] {
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn blanks_and_line_breaks_around_a_variable_are_cut_off() {
    let padded = |(name, value): (&'static str, &str)| (name.to_owned(), format!(" {value}\r\n"));
    let plain = [
        ("AWS_ACCESS_KEY_ID", "who"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
        ("AWS_SESSION_TOKEN", "hush-token"),
        ("AWS_ENDPOINT_URL", "http://minio:9000"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let found = S3Options::from_variables(&plain.map(padded).into()).unwrap();
    assert_eq!(found, options(&plain));
    let blank = [("AWS_ACCESS_KEY_ID", "\n"), ("AWS_SECRET_ACCESS_KEY", " ")];
    assert_eq!(options(&blank).credentials, None, "a blank one is none");
    let mut set = S3Options::default();
    for (key, text) in [
        ("s3_endpoint", "http://minio:9000\n"),
        ("s3_region", " eu-central-1"),
        ("s3_path_style", "always\n"),
        ("s3_ca_file", "\n"),
    ] {
        set.set(key, text).unwrap();
    }
    assert_eq!(set.endpoint.unwrap().to_string(), "http://minio:9000");
    assert_eq!(set.path_style, PathStyle::Always);
}

#[test]
fn what_cannot_be_a_header_is_refused_by_its_variable_and_not_shown() {
    let role = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shelf"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
    ];
    let container = [("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token")];
    for (others, name) in [
        (&KEYS[..], "AWS_ACCESS_KEY_ID"),
        (&KEYS[..], "AWS_SECRET_ACCESS_KEY"),
        (&KEYS[..], "AWS_SESSION_TOKEN"),
        (&role[..], "AWS_ROLE_ARN"),
        (&role[..], "AWS_ROLE_SESSION_NAME"),
        (&[], "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        (&container[..], "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ] {
        for value in ["/hu\nsh", "/hu\u{0}sh", "/h\u{fc}\tsh"] {
            let all = [others, &[(name, value)]].concat();
            let problems = S3Options::from_variables(&variables(&all)).unwrap_err();
            let said = problems[0].to_string();
            assert!(
                said.starts_with(name) && problems.len() == 1,
                "{problems:?}"
            );
            let is_secret = !name.ends_with("URI");
            assert!(!is_secret || said.contains("(not shown)"), "{said}");
        }
    }
    let credentials = S3Credentials::Keys {
        access_key_id: "who\n".to_owned(),
        secret_access_key: "hush".to_owned(),
        session_token: None,
    };
    let options = S3Options {
        credentials: Some(credentials),
        ..S3Options::default()
    };
    let error = crate::Registry::open("s3://shelf/x", &options).unwrap_err();
    assert_eq!(error.kind(), "invalid", "{error}");
}

#[test]
fn endpoint_below_an_ip_address_is_refused_and_not_called() {
    let options = S3Options {
        endpoint: Some("http://127.0.0.1:9000".parse().unwrap()),
        path_style: PathStyle::Never,
        ..options(&KEYS)
    };
    let error = client("shelf", &options).unwrap_err().to_string();
    assert!(error.contains("http://shelf.127.0.0.1:9000"), "{error}");
    for bad in ["http://a{b", "http://a`b", "http://host:99999"] {
        assert!(bad.parse::<S3Endpoint>().is_err(), "{bad}");
    }
}
