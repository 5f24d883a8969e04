//! When expressions are due, and which are none.

use proptest::prelude::*;

use super::*;

/// The next times after `after`, in the time zone's own words.
fn check(expr: &str, tz: &str, after: &str, wanted: &[&str]) {
    let (expr, tz) = (Expr::new(expr).unwrap(), TimeZone::get(tz).unwrap());
    let mut at: Timestamp = after.parse().unwrap();
    for wanted in wanted {
        at = expr.next(at, &tz).unwrap();
        let shown = at.to_zoned(tz.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        assert_eq!(shown, *wanted);
    }
}

#[test]
fn fields_lists_ranges_steps_and_words() {
    let sunday = "2026-11-22T12:00:00Z";
    check(
        "*/20 * * * *",
        "UTC",
        sunday,
        &["2026-11-22T12:20:00+00:00", "2026-11-22T12:40:00+00:00"],
    );
    check(
        "5,10-11 9 * * *",
        "UTC",
        sunday,
        &[
            "2026-11-23T09:05:00+00:00",
            "2026-11-23T09:10:00+00:00",
            "2026-11-23T09:11:00+00:00",
            "2026-11-24T09:05:00+00:00",
        ],
    );
    check("30 0 0 1 JAN *", "UTC", sunday, &["2027-01-01T00:00:30+00:00"]);
    check("0 8 * * mon-wed", "UTC", sunday, &["2026-11-23T08:00:00+00:00"]);
    check("0 8 * * 7", "UTC", sunday, &["2026-11-29T08:00:00+00:00"]);
    check("0 0 L 2 *", "UTC", sunday, &["2027-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00"]);
    check("0 0 29 2 *", "UTC", sunday, &["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]);
    check("@daily", "UTC", sunday, &["2026-11-23T00:00:00+00:00"]);
    check("* * * * * *", "UTC", sunday, &["2026-11-22T12:00:01+00:00"]);
}

#[test]
fn either_kind_of_day_is_enough_where_both_are_restricted() {
    check(
        "0 0 1 * fri",
        "UTC",
        "2026-11-22T12:00:00Z",
        &["2026-11-27T00:00:00+00:00", "2026-12-01T00:00:00+00:00", "2026-12-04T00:00:00+00:00"],
    );
}

#[test]
fn a_skipped_time_comes_right_after_the_gap() {
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T00:00:00Z",
        &["2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"],
    );
    // An hourly one has no such time on that day, and none is made up.
    check(
        "30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:00:00Z",
        &["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"],
    );
}

#[test]
fn a_repeated_time_comes_once_unless_every_hour_is_meant() {
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    );
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:59:00Z",
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ],
    );
    check("0 4 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T04:00:00+01:00"]);
}

#[test]
fn half_an_hour_of_summer_time() {
    check(
        "0,45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-04T00:00:00Z",
        &["2026-04-05T01:00:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-06T01:00:00+10:30"],
    );
}

#[test]
fn what_is_no_expression_says_why() {
    for (text, wanted) in [
        ("", "5 or 6 fields, not 0"),
        ("* * * *", "5 or 6 fields, not 4"),
        ("60 * * * *", "\"60\" is no minute from 0 to 59"),
        ("* 5-3 * * *", "ends before it begins"),
        ("*/0 * * * *", "is no minute"),
        ("* * 0 * *", "is no day of month from 1 to 31"),
        ("* * * foo *", "is no month"),
        ("+1 * * * *", "is no minute"),
        ("* * * * * * *", "not 7"),
    ] {
        let told = Expr::new(text).unwrap_err();
        assert!(told.contains(wanted), "{text}: {told}");
    }
    assert_eq!(Expr::new("0 0 30 2 *").unwrap().next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in "[0-9a-zA-Z*/,?# -]{0,40}") {
        drop(Expr::new(&text));
    }

    #[test]
    fn times_only_go_forward(
        expr in "[0-5]?[0-9] (\\*|[0-9]|1[0-9]) \\* \\* [0-6]",
        at in 0_i64..4_000_000_000,
    ) {
        let tz = TimeZone::get("Europe/Berlin").unwrap();
        let at = Timestamp::from_second(at).unwrap();
        let next = Expr::new(&expr).unwrap().next(at, &tz).unwrap();
        prop_assert!(next > at);
        prop_assert!(next.as_second() - at.as_second() <= 8 * 86_400 + 7_200);
    }
}
