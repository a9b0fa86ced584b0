//! A bound on repeated warnings: a line that is down all day must not fill the journal.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The same warning of the same lane about the same thing is shown again after this time.
pub const REPEAT_AFTER: Duration = Duration::from_mins(1);

/// How many different warnings are remembered.
pub const SITES_MAX: usize = 256;

/// How many warnings of one place in the code are shown within [`REPEAT_AFTER`], whatever they
/// name: a flood of ever new names is no reason to fill the journal either.
pub(super) const OF_ONE_PLACE_MAX: usize = 64;

/// The fields that name what a warning is about; with other values it is another warning.
const NAMES: [&str; 10] =
    ["message", "lane", "till", "address", "path", "dir", "key", "fault", "source", "job"];

/// The same warning: one place in the code, one text, one lane, one thing that it names. Other
/// fields may differ.
type Site = (Identifier, u64);

#[derive(Clone, Copy, Debug)]
struct Seen {
    shown_at: Instant,
    left_out: u64,
}

/// What becomes of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WarningRuling {
    /// Shown, and so many were left out since it was last shown.
    Show {
        left_out: u64,
    },
    /// Shown, and the last of its place for now.
    ShowLast,
    LeaveOut,
}

/// The layer that rules.
#[derive(Debug, Default)]
pub(super) struct WarningBound {
    sites: Mutex<HashMap<Site, Seen>>,
}

impl WarningBound {
    fn rule(&self, site: Site, now: Instant) -> WarningRuling {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = sites.get_mut(&site) {
            if now.duration_since(seen.shown_at) < REPEAT_AFTER {
                seen.left_out += 1;
                return WarningRuling::LeaveOut;
            }
            let left_out = seen.left_out;
            *seen = Seen { shown_at: now, left_out: 0 };
            return WarningRuling::Show { left_out };
        }
        let is_recent = |seen: &Seen| now.duration_since(seen.shown_at) < REPEAT_AFTER;
        let of_place =
            sites.iter().filter(|(its, seen)| its.0 == site.0 && is_recent(seen)).count();
        if of_place >= OF_ONE_PLACE_MAX {
            return WarningRuling::LeaveOut;
        }
        if sites.len() >= SITES_MAX {
            forget_oldest(&mut sites);
        }
        sites.insert(site, Seen { shown_at: now, left_out: 0 });
        if of_place + 1 == OF_ONE_PLACE_MAX {
            WarningRuling::ShowLast
        } else {
            WarningRuling::Show { left_out: 0 }
        }
    }
}

fn forget_oldest(sites: &mut HashMap<Site, Seen>) {
    let oldest = sites.iter().min_by_key(|(_, seen)| seen.shown_at).map(|(site, _)| site.clone());
    if let Some(oldest) = oldest {
        sites.remove(&oldest);
    }
}

impl<S: Subscriber> Layer<S> for WarningBound {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let ruling = self.rule((metadata.callsite(), words.hasher.finish()), Instant::now());
        // The lock is free again, so a line of ours passes through the layers as any does.
        match ruling {
            WarningRuling::LeaveOut => false,
            WarningRuling::Show { left_out: 0 } => true,
            WarningRuling::ShowLast => {
                tracing::warn!(
                    lane = words.lane,
                    "the next warning is the last of its kind for a minute: others are left out"
                );
                true
            }
            WarningRuling::Show { left_out } => {
                tracing::warn!(
                    lane = words.lane,
                    left_out,
                    "the next warning came more often since it was last shown"
                );
                true
            }
        }
    }
}

/// The lane of a warning, and what makes it the same.
#[derive(Default)]
struct Words {
    lane: String,
    hasher: DefaultHasher,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if NAMES.contains(&field.name()) {
            (field.name(), value).hash(&mut self.hasher);
        }
        if field.name() == "lane" {
            value.clone_into(&mut self.lane);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if NAMES.contains(&field.name()) {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Collects `message lane left_out` of what passes.
    #[derive(Clone, Default)]
    struct Collect(Arc<Mutex<Vec<String>>>);

    #[derive(Default)]
    struct All(Vec<String>);

    impl Visit for All {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push(format!("{}={value:?}", field.name()));
        }
    }

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut all = All::default();
            event.record(&mut all);
            self.0.lock().unwrap().push(all.0.join(" "));
        }
    }

    fn down(lane: &str) {
        tracing::warn!(lane, "down");
    }

    #[test]
    fn the_same_warning_of_a_lane_is_shown_once_and_another_lanes_beside_it() {
        let shown = Collect::default();
        let subscriber = Registry::default().with(shown.clone()).with(WarningBound::default());
        tracing::subscriber::with_default(subscriber, || {
            for lane in ["a", "a", "b", "a", "b"] {
                down(lane);
                tracing::info!(lane, "accepted");
            }
        });
        let shown = shown.0.lock().unwrap();
        let count = |line: &str| shown.iter().filter(|its| its.as_str() == line).count();
        assert_eq!(
            (count("message=down lane=\"a\""), count("message=down lane=\"b\"")),
            (1, 1),
            "{shown:?}"
        );
        assert_eq!(shown.iter().filter(|line| line.contains("accepted")).count(), 5);
    }

    #[test]
    fn different_texts_from_one_place_are_all_shown() {
        let shown = Collect::default();
        let subscriber = Registry::default().with(shown.clone()).with(WarningBound::default());
        tracing::subscriber::with_default(subscriber, || {
            for text in ["provider: no token", "admin: no socket", "provider: no token"] {
                tracing::warn!("{text}");
            }
        });
        assert_eq!(
            *shown.0.lock().unwrap(),
            ["message=provider: no token", "message=admin: no socket"]
        );
    }

    #[test]
    fn a_warning_that_names_another_thing_is_another_and_other_fields_make_none() {
        let shown = Collect::default();
        let subscriber = Registry::default().with(shown.clone()).with(WarningBound::default());
        tracing::subscriber::with_default(subscriber, || {
            for (till, error, kept) in [("t1", "e", 1), ("t2", "e", 2), ("t1", "f", 3)] {
                tracing::warn!(till = %till, error, kept, "unread");
            }
        });
        assert_eq!(
            *shown.0.lock().unwrap(),
            [
                "message=unread till=t1 error=\"e\" kept=1",
                "message=unread till=t2 error=\"e\" kept=2"
            ]
        );
    }

    #[test]
    fn ever_new_names_from_one_place_end_with_a_word_and_another_place_is_heard() {
        let (bound, start) = (WarningBound::default(), Instant::now());
        let rule = |place: usize, name: u64, now| {
            bound.rule((tracing::callsite::Identifier(&SITES[place]), name), now)
        };
        let rulings: Vec<_> = (0..1000).map(|name| rule(0, name, start)).collect();
        let (shown, rest) = rulings.split_at(OF_ONE_PLACE_MAX);
        let show = WarningRuling::Show { left_out: 0 };
        assert!(shown[..shown.len() - 1].iter().all(|ruling| *ruling == show));
        assert_eq!(shown.last(), Some(&WarningRuling::ShowLast));
        assert!(rest.iter().all(|ruling| *ruling == WarningRuling::LeaveOut));
        assert_eq!(rule(1, 0, start), show);
        assert_eq!(rule(0, 1000, start + REPEAT_AFTER), show);
    }

    #[test]
    fn after_a_minute_it_is_shown_again_with_the_number_left_out() {
        let bound = WarningBound::default();
        let callsite = || (tracing::callsite::Identifier(&SITES[0]), 7);
        let start = Instant::now();
        let at = |seconds: u64| bound.rule(callsite(), start + Duration::from_secs(seconds));
        let rulings = [at(0), at(1), at(59), at(60), at(61), at(120)];
        let show = |left_out| WarningRuling::Show { left_out };
        assert_eq!(
            rulings,
            [
                show(0),
                WarningRuling::LeaveOut,
                WarningRuling::LeaveOut,
                show(2),
                WarningRuling::LeaveOut,
                show(1)
            ]
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let bound = WarningBound::default();
        let start = Instant::now();
        for n in 0..=SITES_MAX as u64 {
            for site in &SITES {
                bound.rule((tracing::callsite::Identifier(site), n), start);
            }
        }
        assert_eq!(bound.sites.lock().unwrap().len(), SITES_MAX);
    }

    /// Not of size zero: each has an address of its own.
    struct Place(#[expect(dead_code, reason = "what it is does not matter")] u8);

    static SITES: [Place; 5] = [Place(0), Place(1), Place(2), Place(3), Place(4)];

    impl tracing::Callsite for Place {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &tracing::Metadata<'_> {
            unreachable!("never dispatched")
        }
    }
}
