//! `cargo xtask new-policy NAME`: begins a protection.
//!
//! Writes its folder with a table of its own and a decision test that fails, and its lines in the
//! catalogue. The author then says what it is against, chooses what it reads, and follows the
//! compiler.

mod shape;

use std::fs;

use crate::arguments::Arguments;
use crate::command::{command, run as call};
use crate::failure::Failure;
use crate::root::{Root, read, write};
use shape::{Shape, Stage};

const SOURCES: &str = "crates/palisade-policy/src";

/// Words that can't be a module's name, or are one's already in the crate.
const TAKEN: &[&str] = &[
    "as", "async", "await", "break", "const", "crate", "dyn", "else", "enum", "extern", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct",
    "super", "trait", "type", "unsafe", "use", "where", "while", "yield", "catalog", "context", "testing",
];

/// The tables of the configuration that are no policy's.
const TABLES: &[&str] = &["admin", "app", "log", "performance"];

/// A policy's name: the module, and with a capital the type.
struct Name(String);

impl Name {
    fn parse(name: &str) -> Result<Self, Failure> {
        let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_word && !TAKEN.contains(&name) && !TABLES.contains(&name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Failure::Usage(format!("`{name}` is no name for a policy: lower case, digits and _")))
        }
    }

    /// `webhook_replay` is `WebhookReplay`.
    fn camel_case(&self) -> String {
        self.0
            .split('_')
            .map(|word| {
                let mut letters = word.chars();
                letters
                    .next()
                    .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                    .unwrap_or_default()
            })
            .collect()
    }
}

pub(crate) fn run(root: &Root, mut arguments: Arguments) -> Result<(), Failure> {
    let shape = arguments.value("--shape")?.unwrap_or(Shape::Inspect);
    let stage = arguments.value("--stage")?.unwrap_or(shape.usual_stage());
    let name = arguments.word().ok_or_else(|| Failure::Usage("new-policy needs a name".to_owned()))?;
    let name = Name::parse(&name)?;
    arguments.end()?;
    create(root, &name, shape, stage)
}

fn create(root: &Root, name: &Name, shape: Shape, stage: Stage) -> Result<(), Failure> {
    let sources = root.join(SOURCES);
    let folder = sources.join(&name.0);
    if folder.exists() {
        return Err(Failure::Usage(format!("there is a policy `{}` already", name.0)));
    }
    // Both are changed in memory before anything is written, so that a layout that is not
    // understood leaves nothing behind.
    let [library, catalog] = ["lib.rs", "catalog.rs"].map(|file| sources.join(file));
    let changed_library = declare(&read(&library)?, &name.0).ok_or_else(|| unknown_layout("lib.rs"))?;
    let changed_catalog = list(&read(&catalog)?, name).ok_or_else(|| unknown_layout("catalog.rs"))?;
    fs::create_dir(&folder).map_err(Failure::file(&folder))?;
    for (file, template) in
        [("mod.rs", shape.rule().as_str()), ("config.rs", shape::CONFIG), ("tests.rs", shape.test())]
    {
        let text = template
            .replace("{name}", &name.0)
            .replace("{Name}", &name.camel_case())
            .replace("{Shape}", shape.name())
            .replace("{Stage}", &stage.name());
        write(&folder.join(file), &text)?;
    }
    write(&library, &changed_library)?;
    write(&catalog, &changed_catalog)?;
    let written = ["mod.rs", "config.rs", "tests.rs"].map(|file| folder.join(file));
    call(command(root, "rustfmt", ["--edition", "2024"]).args(written).arg(catalog))?;
    println!(
        "{SOURCES}/{0}/ is there, and in the catalogue at stage {1}.\n\
         Next: cargo test -p palisade-policy {0}, which fails; then the threat and the rule in mod.rs.",
        name.0,
        stage.name().to_ascii_lowercase(),
    );
    Ok(())
}

fn unknown_layout(file: &str) -> Failure {
    Failure::Found(format!("{SOURCES}/{file} is not laid out as it used to be; nothing was changed"))
}

/// `lib.rs` with one more module, in order.
fn declare(library: &str, name: &str) -> Option<String> {
    let line = format!("pub mod {name};");
    let mut lines: Vec<&str> = library.lines().collect();
    let is_module = |line: &&str| line.starts_with("pub mod ") || line.starts_with("mod ");
    let after = |other: &str| other.trim_start_matches("pub ") > line.trim_start_matches("pub ");
    let first = lines.iter().position(is_module)?;
    let count = lines.iter().skip(first).take_while(|line| is_module(line)).count();
    let at = lines.iter().skip(first).take(count).position(|other| after(other)).unwrap_or(count);
    lines.insert(first + at, &line);
    Some(lines.join("\n") + "\n")
}

/// `catalog.rs` with one more import, one more table, and one more line at the end of the list.
fn list(catalog: &str, name: &Name) -> Option<String> {
    const IMPORTS: &str = "\nuse crate::{";
    const TABLES: &str = "\n    pub struct RawPolicies {";
    const END_OF_TABLES: &str = "\n    }\n";
    const READ: &str = " } = policies;";
    const END: &str = "\n    ]\n    .concat();";
    let camel_case = name.camel_case();
    let name = &name.0;
    let (before, rest) = catalog.split_once(IMPORTS)?;
    let with_import = format!("{before}{IMPORTS}{name}, {rest}");
    let (before, rest) = with_import.split_once(TABLES)?;
    let (tables, rest) = rest.split_once(END_OF_TABLES)?;
    let table = format!(
        "\n        /// What {name} protects, in one line.\n        \
         {name}: Option<Setting<{name}::config::Raw{camel_case}>>,"
    );
    let with_table = format!("{before}{TABLES}{tables}{table}{END_OF_TABLES}{rest}");
    let (before, rest) = with_table.split_once(READ)?;
    let with_reading = format!("{before}, {name}{READ}{rest}");
    let (before, after) = with_reading.split_once(END)?;
    Some(format!("{before}\n        {name}::config::compile({name}, context, problems),{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Name::parse("webhook_replay").unwrap().camel_case(), "WebhookReplay");
        for name in ["", "Replay", "re-play", "1st", "_x", "match", "catalog", "log", "a b", "../x"] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_module_is_declared_in_order() {
        let library = "//! Doc.\n\npub mod catalog;\nmod context;\npub mod headers;\n\n#[cfg(test)]\nmod testing;\n";
        let check = |name: &str, expected: &str| {
            let declared = declare(library, name).unwrap();
            let modules: Vec<_> = declared.lines().skip(2).take(4).collect();
            assert_eq!(modules.join(" "), expected);
            assert_eq!(declared.lines().count(), library.lines().count() + 1);
        };
        check("abuse", "pub mod abuse; pub mod catalog; mod context; pub mod headers;");
        check("csrf", "pub mod catalog; mod context; pub mod csrf; pub mod headers;");
        check("webhook", "pub mod catalog; mod context; pub mod headers; pub mod webhook;");
        assert_eq!(declare("//! Nothing.\n", "csrf"), None);
    }

    #[test]
    fn a_policy_is_listed_last() {
        let catalog = "\nuse crate::{Context, host};\n\nsection! {\n    pub struct RawPolicies {\n        \
             limits: Option<Setting<RawLimits>>,\n    }\n}\n\n    let RawPolicies { limits } = policies;\n    \
             let questions = [\n        host::compile(),\n    ]\n    .concat();\n";
        let csrf = Name("csrf".to_owned());
        let listed = list(catalog, &csrf).unwrap();
        assert!(listed.contains("use crate::{csrf, Context, host};"), "{listed}");
        assert!(listed.contains("        csrf: Option<Setting<csrf::config::RawCsrf>>,\n    }\n}"), "{listed}");
        assert!(listed.contains("let RawPolicies { limits, csrf } = policies;"), "{listed}");
        assert!(listed.contains("csrf::config::compile(csrf, context, problems),\n    ]"), "{listed}");
        assert_eq!(list("use crate::{Context};", &csrf), None);
    }
}
