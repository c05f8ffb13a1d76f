//! Results within a page of the documentation, between two marks.

use crate::failure::Failure;
use crate::root::{Root, read, write};

/// Where in the page.
pub(super) struct Page {
    pub(super) begin: &'static str,
    pub(super) end: &'static str,
}

const PAGE: &str = "docs/benchmarks.md";

impl Page {
    /// Puts other results there.
    pub(super) fn write(&self, root: &Root, results: &str) -> Result<(), Failure> {
        let path = root.join(PAGE);
        let page = self.replace(&read(&path)?, results);
        write(&path, &page.ok_or_else(|| Failure::Found(format!("{PAGE} has lost its marks")))?)?;
        println!("wrote {PAGE}");
        Ok(())
    }

    /// The page with other results between its marks. `None` if it has none.
    fn replace(&self, page: &str, results: &str) -> Option<String> {
        let Self { begin, end } = self;
        let (before, rest) = page.split_once(begin)?;
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}{results}{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = Page { begin: "<!-- a: begin -->\n", end: "<!-- a: end -->" };
        let text = |results| format!("# Page\n\n<!-- a: begin -->\n{results}<!-- a: end -->\nrest\n");
        assert_eq!(page.replace(&text("old\n"), "new\n"), Some(text("new\n")));
        assert_eq!(page.replace("# Page\n", "new\n"), None);
    }
}
