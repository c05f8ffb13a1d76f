use super::*;

fn rule(lengths_s: &[u64]) -> BanRule {
    let lengths: Vec<_> = lengths_s.iter().copied().map(Duration::from_secs).collect();
    BanRule::new(3, Duration::from_secs(600), &lengths).unwrap()
}

/// A step of one charge that is refused, and its ban.
fn refused(standing: &mut Standing, rule: &BanRule, now_s: u64) -> Standoff {
    let mut charges = Charges::default();
    charges.push(charge(Bound::Rate(rate(1, 60, 1)), 2, Spend::Now));
    charges.ban(Ban { item: 1, key: KeyHash(2), first: 0, end: 1, rule: rule.clone() });
    let mut verdicts = Verdicts::default();
    let (mut states, standings) = ([State::default()], std::slice::from_mut(standing));
    assert_eq!(step(&charges, &mut states, standings, at(now_s * SECOND), &mut verdicts), Step::Refused);
    verdicts.bans[0]
}

#[test]
fn each_ban_is_longer_until_they_are_forgotten() {
    let (rule, mut standing) = (rule(&[60, 300]), Standing::default());
    let begins = |seconds| Standoff::Begins(Duration::from_secs(seconds));
    let lasts = |seconds| Standoff::Lasts(Duration::from_secs(seconds));
    assert_eq!(refused(&mut standing, &rule, 0), Standoff::Clear);
    assert_eq!(refused(&mut standing, &rule, 0), Standoff::Clear);
    assert_eq!(refused(&mut standing, &rule, 600), begins(60), "the last instant that counts");
    // Asking during a ban extends nothing and counts toward nothing.
    assert_eq!(refused(&mut standing, &rule, 601), lasts(59));
    assert_eq!(refused(&mut standing, &rule, 659), lasts(1));
    assert_eq!(refused(&mut standing, &rule, 660), Standoff::Clear);
    assert_eq!(refused(&mut standing, &rule, 660), Standoff::Clear);
    assert_eq!(refused(&mut standing, &rule, 660), begins(300));
    for _ in 0..2 {
        refused(&mut standing, &rule, 1_000);
    }
    assert_eq!(refused(&mut standing, &rule, 1_000), begins(300), "the last length repeats");
    let week = 7 * 86_400;
    for _ in 0..2 {
        refused(&mut standing, &rule, 1_300 + week);
    }
    assert_eq!(refused(&mut standing, &rule, 1_300 + week), begins(60), "a week without one");
}

#[test]
fn refusals_count_together_only_while_they_are_near() {
    let (rule, mut standing) = (rule(&[60]), Standing::default());
    for now in [0, 300, 601, 901, 1_202] {
        assert_eq!(refused(&mut standing, &rule, now), Standoff::Clear, "{now}");
    }
    assert_eq!(refused(&mut standing, &rule, 1_203), Standoff::Begins(Duration::from_secs(60)));
}

#[test]
fn a_ban_refuses_what_would_fit() {
    let (rule, mut standing) = (rule(&[60]), Standing::default());
    for _ in 0..3 {
        refused(&mut standing, &rule, 0);
    }
    let mut charges = Charges::default();
    charges.push(charge(Bound::Rate(rate(1, 60, 1)), 1, Spend::Now));
    charges.ban(Ban { item: 1, key: KeyHash(2), first: 0, end: 1, rule });
    let mut verdicts = Verdicts::default();
    let empty = || [State::default()];
    let standings = std::slice::from_mut(&mut standing);
    assert_eq!(step(&charges, &mut empty(), standings, at(59 * SECOND), &mut verdicts), Step::Refused);
    assert_eq!((verdicts.list[0].fit, verdicts.bans[0]), (Fit::Fits, Standoff::Lasts(Duration::from_secs(1))));
    assert_eq!(step(&charges, &mut empty(), standings, at(60 * SECOND), &mut verdicts), Step::Made);
}

#[test]
fn waiting_for_reservations_is_nobodys_fault() {
    let (rule, mut standing) = (rule(&[60]), Standing::default());
    let mut charges = Charges::default();
    charges.push(charge(Bound::Rate(rate(1, 60, 1)), 1, reserve(60 * SECOND)));
    charges.ban(Ban { item: 1, key: KeyHash(2), first: 0, end: 1, rule });
    let mut verdicts = Verdicts::default();
    let mut states = [State::default()];
    let standings = std::slice::from_mut(&mut standing);
    assert_eq!(step(&charges, &mut states, standings, at(0), &mut verdicts), Step::Made);
    for _ in 0..5 {
        let mut later = states;
        assert_eq!(step(&charges, &mut later, standings, at(0), &mut verdicts), Step::Refused);
        assert_eq!((verdicts.list[0].fit, verdicts.bans[0]), (Fit::Reserved, Standoff::Clear));
    }
}

#[test]
fn rules_have_bounds() {
    let second = Duration::from_secs(1);
    assert!(BanRule::new(0, second, &[second]).is_none());
    assert!(BanRule::new(AFTER_MAX, second, &[second; LENGTHS_MAX]).is_some());
    assert!(BanRule::new(AFTER_MAX + 1, second, &[second]).is_none());
    assert!(BanRule::new(1, second, &[]).is_none());
    assert!(BanRule::new(1, second, &[second; LENGTHS_MAX + 1]).is_none());
}
