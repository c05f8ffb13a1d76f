//! Where a setting is: its key, and where in which file.

use std::sync::Arc;

use super::tree::Span;

/// A setting's key and where it was written. A default has a key but no span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The key from the top, `limits.chat.rate`; empty for the file as a whole.
    pub key: Arc<str>,
    /// Where it was written.
    pub span: Option<Span>,
}

impl Place {
    /// The file as a whole.
    pub fn top() -> Self {
        Self { key: Arc::from(""), span: None }
    }

    /// The place of `name` in the table that is here.
    pub fn child(&self, name: &str, span: Option<Span>) -> Self {
        Self { key: join(&self.key, cut(name)).into(), span }
    }

    /// The same key, with the attention on another stretch of text.
    pub fn spanning(&self, span: Option<Span>) -> Self {
        Self { key: Arc::clone(&self.key), span }
    }

    /// How messages call the table that is here: `[limits.chat]`.
    pub fn table(&self) -> String {
        if self.key.is_empty() { "the file".to_owned() } else { format!("[{}]", self.key) }
    }
}

/// A longer name is cut in places: they are for people, and there may be many of them.
const NAME_CHARS_MAX: usize = 128;

/// A key below another, quoted where it has to be: `app.route."/api/chat"`.
pub fn join(parent: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let dot = if parent.is_empty() { "" } else { "." };
    if bare { format!("{parent}{dot}{name}") } else { format!("{parent}{dot}{name:?}") }
}

/// A key as it is typed in a shell, in quotes where it holds some: `'app.route."/api/*".max_body'`.
pub fn typed(key: &str) -> String {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if is_plain { key.to_owned() } else { format!("'{}'", key.replace('\'', r"'\''")) }
}

fn cut(name: &str) -> &str {
    name.char_indices().nth(NAME_CHARS_MAX).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}
