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

/// The same warning of the same lane is shown again after this time.
pub const REPEAT_AFTER: Duration = Duration::from_mins(1);

/// How many different warnings are remembered.
pub const SITES_MAX: usize = 256;

/// The same warning: one place in the code, one lane, one text. Fields beside the text may differ.
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
        if sites.len() >= SITES_MAX {
            forget_oldest(&mut sites);
        }
        sites.insert(site, Seen { shown_at: now, left_out: 0 });
        WarningRuling::Show { left_out: 0 }
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
        match self.rule((metadata.callsite(), words.hash()), Instant::now()) {
            WarningRuling::LeaveOut => false,
            WarningRuling::Show { left_out: 0 } => true,
            WarningRuling::Show { left_out } => {
                // The lock is free again, so this passes through the layers as any line does.
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

/// The lane and the text of a warning.
#[derive(Default)]
struct Words {
    lane: String,
    message: String,
}

impl Words {
    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.lane, &self.message).hash(&mut hasher);
        hasher.finish()
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "lane" => value.clone_into(&mut self.lane),
            "message" => value.clone_into(&mut self.message),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if matches!(field.name(), "lane" | "message") {
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
    fn after_a_minute_it_is_shown_again_with_the_number_left_out() {
        let bound = WarningBound::default();
        let callsite = || (tracing::callsite::Identifier(&SITE), 7);
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
            bound.rule((tracing::callsite::Identifier(&SITE), n), start);
        }
        assert_eq!(bound.sites.lock().unwrap().len(), SITES_MAX);
    }

    struct Site;

    static SITE: Site = Site;

    impl tracing::Callsite for Site {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &tracing::Metadata<'_> {
            unreachable!("never dispatched")
        }
    }
}
