//! What does not end by itself, as `status`, `status --check` and the console say it. Redemptions
//! that wait for a person are listed apart.

use super::risk::OffView;
use super::status::{LaneView, Status};
use crate::message::{Cause, Need};
use crate::queue::UnreadTill;

impl Status {
    /// What somebody has to see to.
    pub(super) fn needs(&self) -> Vec<Need> {
        let own = self.storage_needs().chain(self.own_needs()).chain(self.settings_needs());
        own.chain(self.lanes.iter().flat_map(lane_needs)).collect()
    }

    fn storage_needs(&self) -> impl Iterator<Item = Need> + '_ {
        self.storage.told.iter().cloned().map(Box::new).map(|how| {
            if self.storage.ok { Need::StorageTold { how } } else { Need::NotStored { how } }
        })
    }

    fn own_needs(&self) -> impl Iterator<Item = Need> {
        let clock = (!self.clock_trusted).then_some(Need::ClockUnset);
        clock.into_iter().chain((!self.balanced).then_some(Need::Unbalanced))
    }

    fn settings_needs(&self) -> impl Iterator<Item = Need> + '_ {
        let refused = self.reload_faults.iter().cloned().map(|why| Need::SettingsRefused { why });
        let restart = !self.restart_keys.is_empty();
        refused
            .chain(self.unread_tills.iter().map(unread))
            .chain(restart.then(|| Need::Restart { keys: self.restart_keys.join(", ") }))
    }
}

/// A line that is only down comes back by itself, and so does trust that was switched off for a
/// time.
fn lane_needs(view: &LaneView) -> impl Iterator<Item = Need> + '_ {
    let lane = &view.status.name;
    let cause = view.status.cause.as_deref().and_then(Cause::from_word);
    let cause = cause.filter(|cause| cause.needs_a_person());
    let off = view.risk.trust_off.as_ref().filter(|off| off.left_s.is_none());
    // What stands behind another cause needs somebody as well.
    let behind = view.status.held_for_declines.then_some(Cause::Declines);
    let behind = behind.filter(|its| cause.is_some_and(|cause| cause != *its));
    let cause = cause.into_iter().chain(behind);
    let cause = cause.map(|cause| {
        let (lane, is_declines) = (lane.clone(), cause == Cause::Declines);
        if is_declines && view.risk.all_taken_back {
            Need::LaneTakenBack { lane }
        } else {
            Need::Lane { lane, cause }
        }
    });
    let deaf = view.status.checks_deaf.then(|| Need::ChecksDeaf { lane: lane.clone() });
    cause.chain(deaf).chain(off.map(|off| trust_off(lane.clone(), off)))
}

fn unread(UnreadTill { till, kept }: &UnreadTill) -> Need {
    let till = till.clone();
    if *kept { Need::TillKept { till } } else { Need::TillUnread { till } }
}

fn trust_off(lane: String, off: &OffView) -> Need {
    Need::TrustOff { lane, name: off.by.clone(), note: off.note.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::{lane, sample};
    use super::*;
    use crate::message::Language;

    /// Nothing needs anybody: one line is down, which comes back by itself.
    fn quiet() -> Status {
        Status { clock_trusted: true, ..sample() }
    }

    fn texts(status: &Status, language: Language) -> Vec<String> {
        status.needs().iter().map(|need| need.text(language)).collect()
    }

    fn unread_till(till: &str, kept: bool) -> UnreadTill {
        UnreadTill { till: till.to_owned(), kept }
    }

    #[test]
    fn a_line_that_is_only_down_needs_nobody_and_a_token_that_is_refused_does() {
        let mut status = quiet();
        assert_eq!(status.needs(), []);
        status.lanes[0].status = lane("retm", "held", Some("credential"));
        let expected = "retm: the provider does not take our token, or it cannot be read; put a \
            valid token in place, it is picked up at once";
        assert_eq!(texts(&status, Language::English), [expected]);
        let arabic = texts(&status, Language::Arabic).remove(0);
        assert!(arabic.contains("لا يقبل المزوّد رمز الدخول"), "{arabic}");
    }

    #[test]
    fn where_all_that_holds_a_lane_is_taken_back_nobody_is_told_to_do_that_again() {
        let mut status = quiet();
        status.lanes[0].status = lane("retm", "held", Some("declines"));
        assert!(texts(&status, Language::English)[0].contains("--held"));
        status.lanes[0].risk.all_taken_back = true;
        for language in [Language::English, Language::Arabic] {
            let text = texts(&status, language).remove(0);
            assert!(text.contains("redeemd release LANE") && !text.contains("--held"), "{text}");
        }
    }

    #[test]
    fn every_part_of_the_gateway_that_needs_a_person_is_told_in_both_languages() {
        let mut status = Status { clock_trusted: false, balanced: false, ..quiet() };
        status.reload_faults = vec!["intake.listen: not an address".to_owned()];
        status.restart_keys = vec!["gateway.name", "admin.socket"];
        status.unread_tills =
            [("t-1", true), ("t-2", false)].map(|(till, kept)| unread_till(till, kept)).into();
        let english = texts(&status, Language::English);
        for part in [
            "the clock is not synchronised",
            "where `hours` are set, no reward is given on trust until it is",
            "the books do not balance",
            "were refused: intake.listen: not an address",
            "take a restart: gateway.name, admin.socket",
            "the token of till t-1 cannot be read: the one before it holds",
            "the token of till t-2 cannot be read: none of its requests is answered",
        ] {
            assert!(english.iter().any(|text| text.contains(part)), "{part}: {english:?}");
        }
        assert_eq!(texts(&status, Language::Arabic).len(), english.len());
    }

    #[test]
    fn checks_that_nobody_answers_while_redemptions_are_answered_are_told() {
        let mut status = quiet();
        status.lanes[0].status.checks_deaf = true;
        let english = texts(&status, Language::English).remove(0);
        assert!(
            english.starts_with("retm: the provider answers redemptions, and checks not"),
            "{english}"
        );
        assert!(texts(&status, Language::Arabic)[0].contains("check_url"));
    }

    #[test]
    fn trust_that_is_off_is_told_unless_it_ends_by_itself() {
        let mut status = quiet();
        let off = |left_s| OffView {
            note: "a look".to_owned(),
            by: "amal".to_owned(),
            since: "2026-11-01T00:00:00Z".to_owned(),
            left_s,
        };
        status.lanes[0].risk.trust_off = Some(off(Some(60)));
        assert_eq!(status.needs(), []);
        status.lanes[0].risk.trust_off = Some(off(None));
        let expected = "trust is off in retm until somebody switches it on, by amal: a look";
        assert_eq!(texts(&status, Language::English), [expected]);
        let arabic = texts(&status, Language::Arabic).remove(0);
        assert!(arabic.starts_with("أُوقف الإعطاء على الثقة في المسار"), "{arabic}");
    }

    #[test]
    fn a_storage_that_refuses_is_told_and_so_is_what_became_of_it() {
        let mut status = quiet();
        status.storage.told = vec![crate::message::Storage::DiskFull];
        assert!(texts(&status, Language::English)[0].starts_with("the storage works, and"));
        status.storage.ok = false;
        assert!(texts(&status, Language::English)[0].starts_with("redemptions cannot be stored"));
    }
}
