//! Arguments of a task. A task takes what it knows and then calls [`Arguments::end`], which refuses
//! the rest.

use std::str::FromStr;

use crate::failure::Failure;

/// What was typed and not taken yet.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(typed: impl Iterator<Item = String>) -> Self {
        Self(typed.collect())
    }

    /// The next argument.
    pub(crate) fn word(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Whether `--name` was typed.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|argument| argument == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    /// The value of `--name VALUE`.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else { return Ok(None) };
        self.0.remove(at);
        if at == self.0.len() {
            return Err(Failure::Usage(format!("{name} needs a value")));
        }
        let value = self.0.remove(at);
        value.parse().map(Some).map_err(|_| Failure::Usage(format!("`{value}` is no value for {name}")))
    }

    /// The value of `--name ONE,TWO`.
    pub(crate) fn list<T: FromStr>(&mut self, name: &str) -> Result<Option<Vec<T>>, Failure> {
        let Some(values) = self.value::<String>(name)? else { return Ok(None) };
        let parse = |value: &str| value.parse().map_err(|_| Failure::Usage(format!("`{value}` is unknown to {name}")));
        values.split(',').map(parse).collect::<Result<_, _>>().map(Some)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(rest) => Err(Failure::Usage(format!("`{rest}` is not understood"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_taken_in_any_order() {
        let mut arguments = typed("--secs 3 proxy --write --sets 1,2");
        assert!(arguments.flag("--write") && !arguments.flag("--write"));
        assert_eq!(arguments.value::<u32>("--secs").unwrap(), Some(3));
        assert_eq!(arguments.list::<u32>("--sets").unwrap(), Some(vec![1, 2]));
        assert_eq!(arguments.word().as_deref(), Some("proxy"));
        assert_eq!(arguments.value::<u32>("--rounds").unwrap(), None);
        arguments.end().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(typed("--secs").value::<u32>("--secs").unwrap_err().to_string(), "--secs needs a value");
        assert_eq!(typed("--secs x").value::<u32>("--secs").unwrap_err().to_string(), "`x` is no value for --secs");
        assert_eq!(typed("--sets 1,x").list::<u32>("--sets").unwrap_err().to_string(), "`x` is unknown to --sets");
        assert_eq!(typed("--fast").end().unwrap_err().to_string(), "`--fast` is not understood");
    }
}
