//! What a value may look like, as data: the JSON Schema and the reference page are made of it.

use super::tree::Value;

/// The form of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `true` or `false`
    Boolean,
    /// A whole number.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Text of a certain form.
    Text {
        /// What the form is called.
        syntax: String,
        /// How it may look.
        examples: &'static [&'static str],
    },
    /// One of these words.
    Words(Vec<&'static str>),
    /// Exactly `false`.
    False,
    /// Any number of values.
    List(Box<Shape>),
    /// A table whose keys are chosen by the author.
    Map {
        /// What the keys are called, `pattern`.
        key: String,
        /// What each holds.
        value: Box<Shape>,
    },
    /// A table with known keys.
    Section(SectionShape),
    /// Any of these.
    Either(Vec<Shape>),
}

/// A table with known keys.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionShape {
    /// What it is for.
    pub doc: &'static str,
    /// Its keys, in the order they were declared.
    pub keys: Vec<KeyShape>,
    /// Further tables with names chosen by the author.
    pub named: Option<Box<Shape>>,
}

/// A key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyShape {
    /// The key.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What happens without it.
    pub presence: Presence,
    /// What it holds.
    pub shape: Shape,
}

/// What happens if a key is absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// This value is taken.
    Default(Value),
    /// It has no value, and that means something; the key's text says what.
    Optional,
    /// The configuration is refused.
    Required,
}

impl Shape {
    /// What the reference page calls it: `duration`, `enforce | report | off`.
    pub fn syntax(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Integer { min, max } if *max == u64::MAX => format!("number from {min}"),
            Self::Integer { min, max } => format!("number, {min} to {max}"),
            Self::Text { syntax, .. } => syntax.clone(),
            Self::Words(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" | "),
            Self::False => "`false`".to_owned(),
            Self::List(item) => format!("list of {}", item.syntax()),
            Self::Map { key, value } => format!("table: {key} → {}", value.syntax()),
            Self::Section(_) => "table".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::alternative).collect::<Vec<_>>().join(" | "),
        }
    }

    /// The same as one of several forms, which a table of one key is told apart by.
    fn alternative(&self) -> String {
        match self.as_section().map(|section| section.keys.as_slice()) {
            Some([key]) if matches!(self, Self::Section(_)) => format!("`{{ {} = {} }}`", key.name, key.shape.syntax()),
            Some(_) | None => self.syntax(),
        }
    }
}

impl Shape {
    /// What a message says was expected, with a value that could be pasted: `a rate such as "300/m"`.
    pub fn expected(&self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { .. } => format!("a {}", self.syntax()),
            Self::Text { syntax, examples } => {
                // Bounds are said when they are overstepped.
                let name = syntax.split(',').next().unwrap_or(syntax);
                let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
                match examples.first() {
                    Some(example) => format!("{article} {name} such as {example:?}"),
                    None => "text in quotes".to_owned(),
                }
            }
            Self::Words(words) => words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or "),
            Self::False => "false".to_owned(),
            Self::List(item) => match item.example() {
                Some(example) => format!("a list such as [{example}]"),
                None => "a list".to_owned(),
            },
            Self::Map { .. } | Self::Section(_) => "a table".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::expected_form).collect::<Vec<_>>().join(" or "),
        }
    }

    /// The same as one of several forms.
    fn expected_form(&self) -> String {
        match self {
            Self::Section(SectionShape { keys, .. }) if keys.len() == 1 => self.alternative().replace('`', ""),
            _ => self.expected(),
        }
    }

    /// A value of this form as it would be written; `None` for forms that need more than one line
    /// says.
    fn example(&self) -> Option<String> {
        match self {
            Self::Boolean => Some("true".to_owned()),
            Self::Integer { min, .. } => Some(min.to_string()),
            Self::Text { examples, .. } => examples.first().map(|example| format!("{example:?}")),
            Self::Words(words) => words.first().map(|word| format!("{word:?}")),
            Self::False => Some("false".to_owned()),
            Self::List(item) => item.example().map(|item| format!("[{item}]")),
            Self::Map { .. } | Self::Section(_) => None,
            Self::Either(shapes) => shapes.iter().find_map(Self::example),
        }
    }
}

impl SectionShape {
    /// The key of that name.
    pub fn find(&self, name: &str) -> Option<&KeyShape> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Shape {
    /// The table that it is, or may be.
    pub fn as_section(&self) -> Option<&SectionShape> {
        self.sections().first().copied()
    }

    /// The tables that it may be.
    pub fn sections(&self) -> Vec<&SectionShape> {
        match self {
            Self::Section(section) => vec![section],
            Self::Either(shapes) => shapes.iter().flat_map(Self::sections).collect(),
            _ => Vec::new(),
        }
    }
}
