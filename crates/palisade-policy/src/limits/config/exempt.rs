//! `[limits.exempt]`: requests that no limit is on but a ceiling.

use palisade_core::config::{Code, Decode, Fault, Node, Place, Problem, Problems, Setting, Shape, Text, Value};
use palisade_core::{Rate, Target};

/// What is exempt: methods, and a path that is exact or ends in `/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExemptTarget(Target);

/// How much of what is exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// How much.
    pub rate: Rate,
    /// Whose requests count together.
    pub per: Per,
}

/// Whose requests a ceiling counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// An address's.
    Ip,
    /// Everybody's.
    Everybody,
}

/// A ceiling, alone or in a table.
#[derive(Clone, Debug)]
pub struct RawExemption(pub Ceiling);

palisade_core::section! {
    /// An exemption that says more than its ceiling.
    pub struct RawFullExemption {
        /// How much of it: `"60/m per ip"` or `"100/s"`.
        rate: Setting<Ceiling>,
    }
}

impl ExemptTarget {
    /// The target.
    pub fn get(&self) -> &Target {
        &self.0
    }
}

impl Text for ExemptTarget {
    fn parse(text: &str) -> Result<Self, Fault> {
        let target = <Target as Text>::parse(text)?;
        if target.methods().is_empty() {
            return Err(Fault::invalid("names no method").label(format!("write `POST {text}`, say")));
        }
        let path = target.pattern().as_str();
        let fixed = path.strip_suffix("/**").unwrap_or(path);
        if fixed.contains(['*', '{']) || path == "/**" {
            let fault = Fault::invalid("is exempt with a wildcard");
            return Err(fault.label("an exemption is exact, or ends in `/**` below a path"));
        }
        Ok(Self(target))
    }

    fn shape() -> Shape {
        let examples = &["GET /auth/callback", "POST /api/billing/webhook", "GET /hooks/**"];
        Shape::Text { syntax: "method and path".to_owned(), examples }
    }
}

impl Text for Ceiling {
    fn parse(text: &str) -> Result<Self, Fault> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (rate, per) = match words[..] {
            [ref rate @ .., "per", "ip"] => (rate.join(" "), Per::Ip),
            ref rate => (rate.join(" "), Per::Everybody),
        };
        Ok(Self { rate: <Rate as Text>::parse(&rate)?, per })
    }

    fn shape() -> Shape {
        Shape::Text { syntax: "ceiling".to_owned(), examples: &["60/m per ip", "100/s"] }
    }
}

impl Decode for RawExemption {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            return <Ceiling as Decode>::decode(node, place, problems).map(Self);
        };
        // Known, so that who wants a webhook exempt isn't told that there is no such key.
        if let Some(verify) = table.find("verify") {
            let place = place.child("verify", verify.node.span);
            let message = format!("`{}` can't be verified: that comes with the webhook policy", place.key);
            let help = "until then give it a ceiling for each address, such as \"60/m per ip\"";
            problems.report(Problem::new(Code::NotAvailable, &place, message).help(help));
            return None;
        }
        RawFullExemption::decode(node, place, problems).map(|full| Self(full.rate.value))
    }

    fn shape() -> Shape {
        Shape::Either(vec![<Ceiling as Text>::shape(), RawFullExemption::shape()])
    }
}
