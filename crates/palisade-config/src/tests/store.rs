use std::path::Path;

use super::{SEED, problems};
use crate::{Inputs, diff, restart_keys};

const APP: &str = "[app]\nupstream = \"http://127.0.0.1:3000\"\n";

#[test]
fn the_state_directory_is_named_or_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    let state = |text: &str, system: Option<&str>| {
        std::fs::write(&file, format!("{APP}{text}")).unwrap();
        let inputs = Inputs::file(&file, None);
        let inputs = if let Some(system) = system { inputs.state(system) } else { inputs };
        crate::load(&inputs, SEED).unwrap_or_else(|_| panic!("{text}")).0.state.unwrap()
    };
    let (relative, absolute) = ("[store]\ndirectory = \"state\"", "[store]\ndirectory = \"/srv/state\"");
    assert_eq!(state("", None), folder.path().join(".palisade"));
    assert_eq!(state("", Some("/var/lib/palisade")), Path::new("/var/lib/palisade"));
    assert_eq!(state(relative, Some("/var/lib/palisade")), folder.path().join("state"));
    assert_eq!(state(absolute, None), Path::new("/srv/state"));
}

#[test]
fn without_a_file_nothing_is_kept() {
    let state = |inputs: &Inputs| crate::load(inputs, SEED).map_err(|_| "invalid").unwrap().0.state;
    let inputs = Inputs::without_file(".").upstream("--upstream", "http://127.0.0.1:3000");
    assert_eq!(state(&inputs), None);
    assert_eq!(state(&inputs.state("/var/lib/palisade")).unwrap(), Path::new("/var/lib/palisade"));
}

#[test]
fn no_name_is_no_directory() {
    let expected = "invalid_value 2:13 `store.directory` names no directory (for example \"/var/lib/palisade\")";
    assert_eq!(problems("[store]\ndirectory = \"\""), [expected]);
}

#[test]
fn another_directory_needs_a_restart() {
    let load = |text: &str| {
        let text = format!("{APP}{text}");
        crate::load(&Inputs::text("palisade.toml", text), SEED).map_err(|_| "invalid").unwrap().0
    };
    let changes = diff(&load(""), &load("[store]\ndirectory = \"/srv/state\""));
    let keys: Vec<_> = restart_keys(&changes).into_iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, ["store.directory"]);
}
