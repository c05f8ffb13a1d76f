use super::*;
use crate::{Mode, Quota, Rate};

crate::section! {
    /// A table for these tests.
    struct RawLimits {
        /// Mode.
        mode: Setting<Mode> = "enforce",
        /// Rate.
        per_ip: Setting<OrOff<Rate>> = "300/m",
        /// Bits.
        ipv6_prefix: Setting<Whole<32, 128>> = 64,
        /// Factors.
        ladder: Setting<Map<Name, Whole<1, 1024>>> = { a = 4, "b" = 16 },
        /// Deadline.
        deadline: Option<Setting<Period<1, 1_000>>>,
        /// Names.
        names: Setting<OneOrMany<String>> = ["x"],
        ..limits: Named<Name, RawLimit>,
    }
}

crate::section! {
    /// One limit.
    struct RawLimit {
        /// Rate.
        rate: Setting<Rate>,
    }
}

crate::section! {
    /// The keys of two sections in one table.
    struct RawWhole {
        /// The first.
        first: Setting<bool> = true,
        ..part: Part<RawPart>,
        /// The last.
        last: Setting<bool> = false,
    }
}

crate::section! {
    /// Keys of the table above.
    struct RawPart {
        /// How often.
        rate: Setting<Rate>,
        /// Its own table.
        limit: Option<Setting<RawLimit>>,
    }
}

fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entry = |(name, value): (&str, Value)| Entry {
        name: name.to_owned(),
        name_span: Some(Span { file: FileId(0), start: 0, end: 1 }),
        node: Node { value, span: Some(Span { file: FileId(0), start: 2, end: 3 }) },
    };
    Value::Table(Table::new(entries.into_iter().map(entry).collect()))
}

fn decode<T: Decode>(value: Value) -> (Option<T>, Vec<String>) {
    let mut problems = Problems::default();
    let raw = T::decode(&Node::unplaced(value), &Place::top().child("limits", None), &mut problems);
    let show = |problem: &Problem| {
        let label = problem.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{}: {}{label}", problem.code.code(), problem.message)
    };
    (raw, problems.iter().map(show).collect())
}

#[test]
fn an_absent_key_has_its_default() {
    let (raw, problems) = decode::<RawLimits>(table([]));
    assert_eq!(problems, Vec::<String>::new());
    let raw = raw.unwrap();
    assert_eq!(raw.mode.value, Mode::Enforce);
    assert!(!raw.mode.is_written());
    assert_eq!(raw.mode.place.key.as_ref(), "limits.mode");
    let ladder: Vec<_> =
        raw.ladder.value.iter().map(|(name, factor)| (name.value.as_str(), factor.value.get())).collect();
    assert_eq!(ladder, [("a", 4), ("b", 16)]);
}

#[test]
fn every_problem_is_reported_and_defaults_stand_in() {
    let (raw, problems) = decode::<RawLimits>(table([
        ("mode", Value::from("enforced")),
        ("per_ip", Value::from("300/min")),
        ("ipv6_prefix", Value::from(256)),
        ("deadline", Value::from(20)),
        ("names", Value::List(vec![])),
        ("per_ipp", Value::from("1/s")),
        ("per_minute", Value::from("1/s")),
        ("chat", table([("rps", Value::from(1))])),
        ("Chat", table([("rate", Value::from("1/s"))])),
    ]));
    assert_eq!(
        problems,
        [
            "config.invalid_value: `limits.mode` must be one of enforce, report, off (did you mean `enforce`?)",
            "config.invalid_value: `limits.per_ip` has an unknown window (write `300/m`)",
            "config.out_of_range: `limits.ipv6_prefix` must be between 32 and 128",
            "config.missing_unit: `limits.deadline` has no unit (units are ms s m h d)",
            "config.invalid_value: `limits.names` is an empty list",
            "config.missing_key: [limits.chat] needs the key `rate`",
            "config.unknown_key: `rps` is not a key of [limits.chat] (did you mean `rate`?)",
            "config.invalid_value: `limits.Chat` is not a name (a letter, then letters, digits and _, at most 32, lower case)",
            "config.unknown_key: `per_ipp` is not a key of [limits] (did you mean `per_ip`?)",
            "config.unknown_key: `per_minute` is not a key of [limits] (did you mean `per_ip`?)",
        ]
    );
    let raw = raw.unwrap();
    assert_eq!((raw.mode.value, raw.ipv6_prefix.value.get(), raw.limits.is_empty()), (Mode::Enforce, 64, true));
    assert!(raw.deadline.is_none() && matches!(raw.per_ip.value, OrOff::On(_)) && raw.names.value.0.len() == 1);
}

#[test]
fn a_named_table_is_taken_away_with_off() {
    let limit = |off: bool| table([("rate", Value::from("1/s")), ("off", Value::from(off))]);
    let (raw, problems) = decode::<RawLimits>(table([("chat", limit(true)), ("search", limit(false))]));
    assert_eq!(problems, Vec::<String>::new());
    let limits = raw.unwrap().limits;
    let names: Vec<_> =
        limits.iter().map(|(name, limit)| (name.value.as_str(), limit.value.rate.value.count())).collect();
    assert_eq!(names, [("search", 1)]);
}

#[test]
fn the_shape_names_every_key_with_its_default() {
    let shape = RawLimits::shape();
    let section = shape.as_section().unwrap();
    let keys: Vec<_> = section.keys.iter().map(|key| (key.name, key.shape.syntax())).collect();
    assert_eq!(
        keys,
        [
            ("mode", "`\"enforce\"` | `\"report\"` | `\"off\"`".to_owned()),
            ("per_ip", "rate | `\"off\"`".to_owned()),
            ("ipv6_prefix", "number, 32 to 128".to_owned()),
            ("ladder", "table: name → number, 1 to 1024".to_owned()),
            ("deadline", "duration, 1ms to 1s".to_owned()),
            ("names", "text | list of text".to_owned()),
        ]
    );
    assert_eq!(section.find("mode").unwrap().presence, Presence::Default(Value::from("enforce")));
    assert_eq!(section.find("deadline").unwrap().presence, Presence::Optional);
    let Some(Shape::Map { key, value }) = section.named.as_deref() else { panic!("named tables") };
    let keys: Vec<_> = value.as_section().unwrap().keys.iter().map(|key| key.name).collect();
    assert_eq!((key.as_str(), keys), ("name", vec!["rate", "off"]));
}

#[test]
fn a_part_is_read_from_the_table_around_it() {
    let limit = || table([("rate", Value::from("2/s"))]);
    let (raw, problems) = decode::<RawWhole>(table([
        ("last", Value::from(true)),
        ("limit", limit()),
        ("rate", Value::from("1/s")),
        ("first", Value::from(false)),
    ]));
    assert_eq!(problems, Vec::<String>::new());
    let RawWhole { first, part: Part(RawPart { rate, limit: own }), last } = raw.unwrap();
    assert_eq!((first.value, rate.value.count(), last.value), (false, 1, true));
    assert_eq!((rate.place.key.as_ref(), rate.is_written()), ("limits.rate", true));
    assert_eq!(own.unwrap().value.rate.place.key.as_ref(), "limits.limit.rate");

    let unknown = table([("rats", Value::from("1/s")), ("lust", limit()), ("limit", table([]))]);
    let (raw, problems) = decode::<RawWhole>(unknown);
    assert!(raw.is_none());
    assert_eq!(
        problems,
        [
            "config.missing_key: [limits.limit] needs the key `rate`",
            "config.unknown_key: `rats` is not a key of [limits] (did you mean `rate`?)",
            "config.unknown_key: `lust` is not a key of [limits] (did you mean `last`?)",
        ]
    );

    let shape = RawWhole::shape();
    let keys: Vec<_> = shape.as_section().unwrap().keys.iter().map(|key| key.name).collect();
    assert_eq!(keys, ["first", "rate", "limit", "last"]);
}

/// What a text is read as, or why it is not: `code: message (label)`.
fn read<T: Text>(text: &str, show: impl Fn(T) -> String) -> String {
    match T::parse(text) {
        Ok(value) => show(value),
        Err(fault) => {
            let label = fault.label.map(|label| format!(" ({label})")).unwrap_or_default();
            format!("{}: {}{label}", fault.code.code(), fault.message)
        }
    }
}

#[test]
fn durations() {
    let check = |text: &str, expected: &str| {
        let found = read(text, |period: Period<1, 86_400_000>| format!("{:?}", period.get()));
        assert_eq!(found, expected, "{text}");
    };
    check("250ms", "250ms");
    check("30s", "30s");
    check("5m", "300s");
    check("24h", "86400s");
    check("1d", "86400s");
    check("86400001ms", "config.out_of_range: must be between 1ms and 1d");
    check("0s", "config.out_of_range: must be between 1ms and 1d");
    check("18446744073709551615d", "config.out_of_range: must be between 1ms and 1d");
    check("30", "config.missing_unit: has no unit (units are ms s m h d)");
    check("30sec", "config.invalid_value: has an unknown unit (units are ms s m h d)");
    for text in ["", "s", "-1s", "1.5s", "99999999999999999999s"] {
        assert!(Period::<1, 1_000>::parse(text).is_err(), "{text}");
    }
}

#[test]
fn sizes() {
    let check = |text: &str, expected: &str| {
        assert_eq!(read(text, |size: Size<1, { 1 << 30 }>| size.get().to_string()), expected, "{text}");
    };
    check("64KiB", "65536");
    check("1MB", "1000000");
    check("1GiB", "1073741824");
    check("1B", "1");
    check("2GiB", "config.out_of_range: must be between 1B and 1GiB");
    check("0B", "config.out_of_range: must be between 1B and 1GiB");
    check("64", "config.missing_unit: has no unit (units are B KB KiB MB MiB GB GiB)");
    check("64kib", "config.invalid_value: has an unknown unit (units are B KB KiB MB MiB GB GiB)");
    check("much", "config.invalid_value: is not a size (for example \"64KiB\")");
}

#[test]
fn shares() {
    let check = |text: &str, expected: &str| {
        assert_eq!(read(text, |share: Share| share.millionths().to_string()), expected, "{text}");
    };
    check("1%", "10000");
    check("99.9%", "999000");
    check("0%", "0");
    check("100%", "1000000");
    check("0.0001%", "1");
    check("100.0001%", "config.out_of_range: must be between 0% and 100%");
    check("0.5", "config.missing_unit: has no unit (units are %)");
    for text in ["", "%", "1.%", ".5%", "-1%", "0.00001%", "1 %", "99999999999%"] {
        assert!(Share::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rates() {
    let check = |text: &str, expected: &str| {
        let found = read(text, |rate: Rate| format!("{} per {:?} burst {}", rate.count(), rate.window(), rate.burst()));
        assert_eq!(found, expected, "{text}");
    };
    check("300/m", "300 per 60s burst 300");
    check("60/m burst 10", "60 per 60s burst 10");
    check("5/15m", "5 per 900s burst 5");
    check("1/31d", "1 per 2678400s burst 1");
    check("20/min", "config.invalid_value: has an unknown window (write `20/m`)");
    check("20/minutes", "config.invalid_value: has an unknown window (write `20/m`)");
    check("0/m", "config.out_of_range: counts must be between 1 and 1000000000");
    check("1/m burst 0", "config.out_of_range: counts must be between 1 and 1000000000");
    check("1/32d", "config.out_of_range: window must be between 1s and 31d");
    check("1/0s", "config.out_of_range: window must be between 1s and 31d");
    check("1/31d burst 2", "config.out_of_range: needs longer than 31 days to refill, or less than 1 µs for one");
    for text in ["", "60", "/m", "60/", "60/m burst", "60/m burst 10 x", "60/m bust 10", "x/m", "-1/m"] {
        assert!(Rate::parse(text).is_err(), "{text}");
    }
}

#[test]
fn quotas() {
    let check = |text: &str, expected: &str| {
        let found = read(text, |quota: Quota| format!("{} per {}", quota.count(), quota.per().name()));
        assert_eq!(found, expected, "{text}");
    };
    check("200 per day", "200 per day");
    check("4294967295  per  month", "4294967295 per month");
    check("0 per day", "config.out_of_range: counts must be between 1 and 4294967295");
    check("4294967296 per day", "config.out_of_range: counts must be between 1 and 4294967295");
    check("1 per dya", "config.invalid_value: has an unknown window (did you mean `day`?)");
    for text in ["", "200", "200/day", "200 per", "200 per day long", "-1 per day", "x per day", "1 per year"] {
        assert!(Quota::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_secret_is_a_reference_and_is_never_repeated() {
    let check = |value: Value, expected: Result<&str, ()>| {
        let mut problems = Problems::default();
        let read = SecretRef::decode(&Node::unplaced(value), &Place::top(), &mut problems);
        assert_eq!(read.map(|reference| reference.to_string()).ok_or(()), expected.map(str::to_owned));
        assert_eq!(problems.is_empty(), expected.is_ok());
        assert!(problems.iter().all(|problem| !format!("{problem:?}").contains("hunter2")), "{problems:?}");
    };
    check(table([("env", Value::from("KEY_1"))]), Ok("{ env = \"KEY_1\" }"));
    check(table([("file", Value::from("/run/key"))]), Ok("{ file = \"/run/key\" }"));
    check(Value::from("hunter2"), Err(()));
    check(table([("env", Value::from("hunter2=1"))]), Err(()));
    check(table([("file", Value::from(""))]), Err(()));
    check(table([("env", Value::from("A")), ("file", Value::from("b"))]), Err(()));
    check(table([("value", Value::from("hunter2"))]), Err(()));
    check(table([]), Err(()));
    assert_eq!(format!("{:?}", Secret::new(*b"hunter2")), "Secret");
}
