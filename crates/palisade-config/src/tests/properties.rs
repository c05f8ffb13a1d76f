//! Whatever is written: an answer, and never a panic.

use proptest::prelude::*;

use super::{SEED, snapshot, without_secrets};
use crate::{Color, Format, Inputs};

fn survives(bytes: Vec<u8>) {
    let inputs = Inputs::text("palisade.toml", bytes).secrets(crate::Secrets::Skip);
    if let Err(report) = crate::load(&inputs, SEED) {
        assert!(report.problems.has_errors());
        for format in [Format::Human(Color::Ansi), Format::Human(Color::Plain), Format::Json] {
            assert!(!report.render(format).is_empty());
        }
    }
}

/// Text made of what configurations are made of.
fn almost_toml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "[app]",
        "[",
        "]",
        "[[",
        "]]",
        "\n",
        "=",
        " ",
        "\"",
        "'",
        "\"\"\"",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\\",
        "app",
        "limits",
        "per_ip",
        "upstream",
        "listen",
        "route",
        "off",
        "true",
        "1",
        "-1",
        "0x",
        "1e9",
        "\"300/m\"",
        "\"/api/**\"",
        "\"127.0.0.1:1\"",
        "[]",
        "{}",
        "{ env = \"X\" }",
        "2020-01-01",
        "ä",
        "\u{feff}",
        "\r\n",
        "\t",
        "tls",
        "timeouts",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(bytes);
    }

    #[test]
    fn anything_that_looks_like_it(text in almost_toml()) {
        survives(text.into_bytes());
    }

    /// A value of the wrong kind at any key.
    #[test]
    fn any_value_at_any_key(
        key in prop::sample::select(snapshot("[limits]\n[app.route.\"/x\"]").effective()),
        value in prop::sample::select(vec!["1", "-1", "9223372036854775807", "true", "\"\"", "\"x\"", "[]", "{}", "[[1]]", "{ a = 1 }", "1.5", "nan"]),
    ) {
        survives(format!("{} = {value}", key.key).into_bytes());
    }
}

#[test]
fn defaults_are_accepted() {
    let (_, report) =
        crate::load(&without_secrets("[app]\nupstream = \"unix:/a\""), SEED).unwrap_or_else(|_| panic!("accepted"));
    assert!(report.problems.is_empty(), "{report:?}");
}
