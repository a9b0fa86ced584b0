//! What the contract's `date` can mean.

/// Whether `date` is the contract's `yyyy-MM-dd HH:mm:ss` and names a moment that there is: no
/// month 13, no 30th of February, no zone. A leap second cannot be told from a fault and is none.
#[must_use]
pub fn date_is_possible(date: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00 00:00:00";
    let fits =
        |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    if date.len() != FORM.len() || !date.bytes().zip(FORM).all(fits) {
        return false;
    }
    let number = |at, digits| {
        date.get(at..at + digits).and_then(|text| text.parse::<u32>().ok()).unwrap_or(u32::MAX)
    };
    let (year, month, day) = (number(0, 4), number(5, 2), number(8, 2));
    let (hour, minute, second) = (number(11, 2), number(14, 2), number(17, 2));
    year > 0 && (1..=days_of(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60
}

/// The days of a month; none of one that there is not.
fn days_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_in_the_contracts_form_is_possible() {
        for date in [
            "2026-11-23 14:03:11",
            "2026-01-31 00:00:00",
            "2026-04-30 23:59:59",
            "2024-02-29 12:00:00",
            "2000-02-29 12:00:00",
            "1970-01-01 00:00:07",
        ] {
            assert!(date_is_possible(date), "{date}");
        }
    }

    #[test]
    fn what_the_contract_cannot_mean_is_not() {
        for date in [
            "Invalid date",
            "NaN-NaN-NaN NaN:NaN:NaN",
            "2026-13-01 10:00:00",
            "2026-00-10 10:00:00",
            "2026-02-30 10:00:00",
            "2026-02-29 10:00:00",
            "1900-02-29 10:00:00",
            "2026-04-31 10:00:00",
            "2026-11-00 10:00:00",
            "2026-11-32 10:00:00",
            "2026-11-23 24:00:00",
            "2026-11-23 10:60:00",
            "2026-11-23 10:00:60",
            "0000-01-01 10:00:00",
            "2026-11-23T10:00:00",
            "2026-11-23T10:00:00Z",
            "2026-11-23T10:00:00+03:00",
            "2026-11-23 10:00:00Z",
            "2026-11-23 10:00:00 +0300",
            "2026-11-23 10:00:00.000",
            "2026-11-23 10:00",
            "2026-11-23",
            "23-11-2026 10:00:00",
            "23/11/2026 10:00:00",
            "2026/11/23 10:00:00",
            "2026-11-23  9:00:00",
            "2026-1-2 9:00:00",
            " 2026-11-23 10:00:00",
            "2026-11-23 10:00:00 ",
            "2026-11-23\u{a0}10:00:00",
            "٢٠٢٦-١١-٢٣ ١٠:٠٠:٠٠",
            "1448-06-03 10:00 م",
            "1795435200",
            "0",
            "-026-11-23 10:00:00",
            "+026-11-23 10:00:00",
            "",
        ] {
            assert!(!date_is_possible(date), "{date}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9: -]{0,24}|.{0,24}") {
            let _may_be_either = date_is_possible(&text);
        }

        #[test]
        fn every_day_has_its_place(
            year in 1u32..=9999,
            month in 1u32..=12,
            day in 1u32..=28,
            second in 0u32..86_400,
        ) {
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let date = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
            prop_assert!(date_is_possible(&date), "{date}");
        }
    }
}
