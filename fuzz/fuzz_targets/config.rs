//! The configuration. The input is the text of a file.

#![cfg_attr(fuzzing, no_main)]

use palisade_config::{Color, Format, Inputs, Report, Secrets, Seed, Snapshot, diff, load};

palisade_fuzz::target!(law);

fn law(input: &[u8]) {
    match read(input.to_vec()) {
        Ok((snapshot, report)) => {
            assert!(!report.problems.has_errors(), "accepted: {}", shown(&report));
            says_the_same_again(&snapshot, input.to_vec());
            // A remark at the end changes no setting.
            says_the_same_again(&snapshot, [input, b"\n# remark"].concat());
            shown(&report);
        }
        Err(report) => {
            assert!(report.problems.has_errors(), "refused for a reason");
            let again = read(input.to_vec()).err().expect("refused again");
            assert_eq!(shown(&report), shown(&again));
        }
    }
}

fn says_the_same_again(snapshot: &Snapshot, text: Vec<u8>) {
    // Longer by a remark it may be too long for a file.
    let Ok((again, _)) = read(text) else { return };
    assert_eq!(snapshot.hash(), again.hash());
    assert_eq!(diff(snapshot, &again), []);
}

fn read(text: Vec<u8>) -> Result<(Snapshot, Report), Report> {
    load(&Inputs::text("f", text).secrets(Secrets::Skip), Seed([0; 16]))
}

/// The report in every format.
fn shown(report: &Report) -> String {
    [Format::Human(Color::Ansi), Format::Human(Color::Plain), Format::Json].map(|format| report.render(format)).concat()
}
