//! A value to fill a message's parameter with, for the tests of every message.

/// A value to fill a parameter with.
pub(super) trait Sample {
    fn sample() -> Self;
}

impl Sample for String {
    fn sample() -> Self {
        "x-41".to_owned()
    }
}

impl Sample for Box<str> {
    fn sample() -> Self {
        String::sample().into()
    }
}

impl Sample for u16 {
    fn sample() -> Self {
        207
    }
}

impl Sample for u64 {
    fn sample() -> Self {
        7
    }
}

impl Sample for Option<String> {
    fn sample() -> Self {
        Some(String::sample())
    }
}

impl Sample for Option<u64> {
    fn sample() -> Self {
        Some(7)
    }
}
