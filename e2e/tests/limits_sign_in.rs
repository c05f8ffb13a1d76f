//! A sign-in under attack: Auth.js in an Express application, as its users have it.
//!
//! Auth.js answers a wrong password with a redirect whose `Location` tells the error, and posts
//! forms. A browser's script asks it for JSON instead, and is answered 200 whatever the password was.

use e2e::node::{Folder, Script};
use e2e::{Gateway, Launch, Received, Wire};

/// Per address tight, per account looser.
const BY_REDIRECT: &str = r#"
[limits.sign_in]
on = "POST /api/auth/callback/credentials"
rate = "3/15m"
count = { status = [401, 403, 422], location_contains = "error=" }
[limits.sign_in_account]
on = "POST /api/auth/callback/credentials"
key = "body.email"
rate = "30/h burst 5"
count = { status = [401, 403, 422], location_contains = "error=" }
"#;

async fn start(limits: &str) -> (Script, Gateway) {
    let folder = tokio::task::spawn_blocking(|| Folder::with_packages("node")).await.unwrap();
    let application = folder.start("sign-in.mjs", &[]);
    let upstream = format!("http://127.0.0.1:{}", application.port().await);
    let config = format!(
        "[app]\nupstream = \"{upstream}\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n[limits]\nper_ip = \"off\"\n{limits}"
    );
    (application, Launch::config(config).start().await)
}

/// A browser at an address, with the cookie and the token that Auth.js gives to it.
struct Browser<'a> {
    gateway: &'a Gateway,
    address: &'static str,
    cookies: String,
    token: String,
}

impl<'a> Browser<'a> {
    async fn at(gateway: &'a Gateway, address: &'static str) -> Self {
        let mut browser = Self { gateway, address, cookies: String::new(), token: String::new() };
        let answer = browser.send("GET /api/auth/csrf", "", "").await;
        let cookies = answer.fields.iter().filter(|(name, _)| name == "set-cookie");
        let pairs: Vec<&str> = cookies.filter_map(|(_, value)| value.split(';').next()).collect();
        browser.cookies = pairs.join("; ");
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        browser.token = told["csrfToken"].as_str().unwrap().to_owned();
        browser
    }

    async fn send(&self, line: &str, fields: &str, body: &str) -> Received {
        let mut wire = Wire::open(self.gateway.public).await;
        let (address, cookies, length) = (self.address, &self.cookies, body.len());
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nCookie: {cookies}\r\n");
        wire.send(format!("{head}{fields}Content-Length: {length}\r\n\r\n{body}")).await.unwrap();
        wire.answer().await.unwrap()
    }

    /// Posts the form, `further` being fields of the request.
    async fn post(&self, email: &str, password: &str, further: &str) -> Received {
        let form = format!("csrfToken={}&email={email}&password={password}", self.token);
        let fields = format!("Content-Type: application/x-www-form-urlencoded\r\n{further}");
        self.send("POST /api/auth/callback/credentials", &fields, &form).await
    }

    /// `302 wrong`, `302 right` or what refused it.
    async fn sign_in(&self, email: &str, password: &str) -> String {
        let answer = self.post(email, password, "").await;
        assert_eq!((answer.field("ratelimit"), answer.field("ratelimit-policy")), (None, None));
        if answer.status != 302 {
            return format!("{} of {}", answer.refusal(), answer.problem()["violated-policies"]);
        }
        let location = answer.field("location").unwrap();
        let signed_in = answer.field("set-cookie").is_some_and(|set| set.contains("authjs.session-token="));
        let failed = location.contains("error=CredentialsSignin");
        assert_ne!(failed, signed_in, "{location}");
        if failed { "302 wrong".to_owned() } else { "302 right".to_owned() }
    }
}

const ANNA: &str = "anna%40example.com";

#[tokio::test]
async fn wrong_passwords_are_stopped_at_the_count_and_right_ones_are_free() {
    let (application, gateway) = start(BY_REDIRECT).await;
    let browser = Browser::at(&gateway, "192.0.2.1").await;
    for _ in 0..10 {
        assert_eq!(browser.sign_in(ANNA, "right").await, "302 right");
    }
    for guess in ["1", "2", "3"] {
        assert_eq!(browser.sign_in(ANNA, guess).await, "302 wrong");
    }
    let refused = "429 limits.rate of [\"sign_in\"]";
    assert_eq!(browser.sign_in(ANNA, "right").await, refused, "no guess more, and not the right one either");
    assert_eq!(browser.sign_in("ben%40example.com", "4").await, refused, "nor for another account");
    // Another address may.
    let elsewhere = Browser::at(&gateway, "192.0.2.2").await;
    assert_eq!(elsewhere.sign_in(ANNA, "right").await, "302 right");
    assert_eq!(application.event("tried 14").await["password"], "right");
}

#[tokio::test]
async fn an_account_is_guessed_at_only_so_often_from_wherever() {
    let (application, gateway) = start(BY_REDIRECT).await;
    // However it is written.
    let guesses = [
        ("192.0.2.1", "anna%40example.com"),
        ("192.0.2.2", "anna@example.com"),
        ("192.0.2.3", "Anna%40Example.com"),
        ("192.0.2.4", "+anna%40example.com+"),
        ("192.0.2.5", "%61nna%40example.com"),
    ];
    for (address, email) in guesses {
        assert_eq!(Browser::at(&gateway, address).await.sign_in(email, "1").await, "302 wrong", "{email}");
    }
    let browser = Browser::at(&gateway, "192.0.2.6").await;
    assert_eq!(browser.sign_in(ANNA, "right").await, "429 limits.rate of [\"sign_in_account\"]");
    assert_eq!(browser.sign_in("ben%40example.com", "1").await, "302 wrong", "another account");
    let twice = browser.post("ben%40example.com&email=anna%40example.com", "right", "").await;
    assert_eq!(twice.refusal(), "400 limits.key_ambiguous");
    assert_eq!(application.event("tried 6").await["email"], "ben@example.com");
}

#[tokio::test]
async fn parallel_guesses_gain_nothing() {
    let (application, gateway) = start(BY_REDIRECT).await;
    let browser = Browser::at(&gateway, "192.0.2.1").await;
    let mut wires = Vec::new();
    let form = format!("csrfToken={}&email=ben%40example.com&password=1", browser.token);
    for _ in 0..20 {
        let mut wire = Wire::open(gateway.public).await;
        let request = format!(
            "POST /api/auth/callback/credentials HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\
             Cookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            browser.cookies,
            form.len()
        );
        wire.send(request).await.unwrap();
        wires.push(wire);
    }
    let mut statuses = Vec::new();
    for wire in &mut wires {
        statuses.push(wire.answer().await.unwrap().status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 302).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 17, "{statuses:?}");
    application.event("tried 3").await;
    assert_eq!(browser.sign_in("ben%40example.com", "1").await, "429 limits.rate of [\"sign_in\"]");
}

/// Who sends what Auth.js's own script sends is answered 200 after a wrong password, so nothing in the
/// answer's head can be counted. A limit without `count` holds all the same.
#[tokio::test]
async fn what_tells_no_error_in_its_head_needs_a_limit_without_count() {
    let limits =
        format!("{BY_REDIRECT}[limits.sign_in_all]\non = \"POST /api/auth/callback/credentials\"\nrate = \"6/15m\"\n");
    let (application, gateway) = start(&limits).await;
    let browser = Browser::at(&gateway, "192.0.2.1").await;
    for _ in 0..6 {
        let answer = browser.post(ANNA, "1", "X-Auth-Return-Redirect: 1\r\n").await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("error=CredentialsSignin"), "{}", answer.text());
    }
    let refused = browser.post(ANNA, "right", "X-Auth-Return-Redirect: 1\r\n").await;
    assert_eq!(refused.refusal(), "429 limits.rate");
    assert_eq!(refused.problem()["violated-policies"], serde_json::json!(["sign_in_all"]));
    application.event("tried 6").await;
}
