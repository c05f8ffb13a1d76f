//! What is generated from the same definitions as the parser: completions and the manual page.

use std::io::{self, Write};

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Exit;

/// Writes to standard output. A reader that has seen enough ends the command quietly.
pub(crate) fn out(text: &str) -> Exit {
    let written = io::stdout().lock().write_all(text.as_bytes());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("palisade: standard output can't be written: {error}");
            Exit::Usage
        }
        Ok(()) | Err(_) => Exit::Good,
    }
}

/// The completions of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "palisade", &mut text);
    out(&String::from_utf8_lossy(&text))
}

/// The manual page: the command and, as sections, its commands.
pub(crate) fn man() -> Exit {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page).and_then(|()| {
        let mut command = Cli::command();
        command.build();
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = format!("palisade-{}", command.get_name());
            let man = clap_mangen::Man::new(command.clone());
            writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
            man.render_description_section(&mut page)?;
            man.render_synopsis_section(&mut page)?;
            man.render_options_section(&mut page)?;
            man.render_extra_section(&mut page)?;
        }
        Ok(())
    });
    match rendered {
        Ok(()) => out(&String::from_utf8_lossy(&page)),
        Err(error) => {
            eprintln!("palisade: the manual page can't be written: {error}");
            Exit::Usage
        }
    }
}
