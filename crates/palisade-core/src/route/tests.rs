use proptest::prelude::*;

use super::*;
use crate::path::EncodedSlash;

fn treatment() -> Treatment {
    Treatment { kind: Kind::Api, questions: Arc::new([]), max_body: 1, settings: 0 }
}

fn table<'p>(patterns: impl IntoIterator<Item = &'p str>) -> RouteTable {
    let routes = patterns.into_iter().map(|text| (Pattern::parse(text).unwrap(), treatment())).collect();
    RouteTable::new(routes, treatment()).unwrap()
}

fn find(table: &RouteTable, raw: &str) -> String {
    table.find(&Path::parse(raw, EncodedSlash::Keep).unwrap()).label.to_string()
}

#[test]
fn the_most_specific_pattern_is_found() {
    let table = table([
        "/api/**",
        "/api/users/{id}",
        "/api/users/me",
        "/api/users/{id}/posts",
        "/api/*/{x}/likes",
        "/",
        "/a/b/d",
        "/a/{x}/c",
        "/a/",
        "/files/**",
        "/files/{name}",
        "/static/*/**",
    ]);
    let cases = [
        ("/", "/"),
        ("/api", "/api/**"),
        ("/api/", "/api/**"),
        ("/api/users", "/api/**"),
        ("/api/users/", "/api/**"),
        ("/api/users/me", "/api/users/me"),
        ("/api/users/7", "/api/users/{id}"),
        ("/api/users/7/", "/api/**"),
        ("/api/users/me/posts", "/api/users/{id}/posts"),
        ("/api/users/me/likes", "/api/*/{x}/likes"),
        ("/api/users/me/likes/1", "/api/**"),
        ("/a/b/d", "/a/b/d"),
        ("/a/b/c", "/a/{x}/c"),
        ("/a/b/e", "unmatched"),
        ("/a/", "/a/"),
        ("/a", "unmatched"),
        ("/A/b/d", "unmatched"),
        ("/files", "/files/**"),
        ("/files/x", "/files/{name}"),
        ("/files/x%2Fy", "/files/{name}"),
        ("/files/", "/files/**"),
        ("/static", "unmatched"),
        ("/static/x", "/static/*/**"),
        ("/%61pi/users/%6De", "/api/users/me"),
    ];
    for (raw, label) in cases {
        assert_eq!(find(&table, raw), label, "{raw}");
    }
}

#[test]
fn what_has_no_segments_belongs_to_everything_or_nothing() {
    let bare = table(["/", "/*"]);
    let whole = table(["/", "/**"]);
    for path in [Path::asterisk(), Path::empty()] {
        assert_eq!(&*bare.find(&path).label, "unmatched");
        assert_eq!(&*whole.find(&path).label, "/**");
    }
}

#[test]
fn ids_are_places() {
    let table = table(["/b", "/a", "/a/{x}", "/a/{w}"]);
    let labels: Vec<&str> = table.iter().map(|route| &*route.label).collect();
    assert_eq!(labels, ["unmatched", "/b", "/a", "/a/{x}", "/a/{w}"]);
    for (place, route) in table.iter().enumerate() {
        assert_eq!(usize::from(route.id.0), place);
        assert_eq!(table.by_id(route.id).unwrap().label, route.label);
    }
    assert!(table.by_id(RouteId(5)).is_none());
    assert_eq!(table.unmatched().id, RouteId::UNMATCHED);
    // The same paths: the smaller text, not the order.
    assert_eq!(find(&table, "/a/7"), "/a/{w}");
}

#[test]
fn a_table_has_as_many_routes_as_ids() {
    let routes = |count: usize| vec![(Pattern::parse("/a").unwrap(), treatment()); count];
    assert!(RouteTable::new(routes(RouteTable::ROUTES_MAX), treatment()).is_ok());
    let error = RouteTable::new(routes(RouteTable::ROUTES_MAX + 1), treatment()).err();
    assert_eq!(error, Some(TooManyRoutes { routes: 65_536 }));
}

fn some_pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => "[abc]", 2 => "\\{[xy]\\}"];
    let end = prop_oneof![3 => Just(""), 1 => Just("/"), 1 => Just("/**")];
    (prop::collection::vec(segment, 0..5), end).prop_map(|(segments, end)| match (segments.join("/"), end) {
        (none, "/**") if none.is_empty() => "/**".to_owned(),
        (none, _) if none.is_empty() => "/".to_owned(),
        (segments, end) => format!("/{segments}{end}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_table_agrees_with_looking_at_each_pattern(
        texts in prop::collection::vec(some_pattern(), 0..12),
        raw in "(/[abcd]){0,5}/?",
    ) {
        let raw = if raw.is_empty() { "/" } else { &raw };
        let path = Path::parse(raw, EncodedSlash::Keep).unwrap();
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let best = patterns.iter().filter(|pattern| pattern.matches_exactly(&path)).min();
        let expected = best.map_or("unmatched", Pattern::as_str);
        let table = table(texts.iter().map(String::as_str));
        prop_assert_eq!(&*table.find(&path).label, expected);
    }
}
