//! What happens in a process' life: tills ask, lines, moods and clocks turn, operators come by;
//! each thing is judged.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use redeemd::clock::Clock;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::house::{Heard, House, LANES, MAX_OUTAGE, MAX_PENDING, TILLS};
use crate::model::{Fate, Limit};
use crate::provider::{INVENTED, Line, Mood, Provider};
use crate::world::{ASKED_AGAIN, BEGAN_MS, CALM, DAY, End, HOUR, MINUTE, SECOND, World, millis};

/// An answer that came less than so long before a till was told may not have been weighed.
const SOON: Duration = Duration::from_millis(20);

impl World {
    /// What happens until the process' end.
    pub(crate) async fn days(
        &mut self,
        house: &House,
        clock: &Clock,
        asked: &mut JoinSet<()>,
        (until, how): (Duration, End),
    ) {
        let deadline = until + if matches!(how, End::Trap(_)) { 6 * HOUR } else { Duration::ZERO };
        let mut is_set = false;
        while self.now() < deadline {
            let gap = self.gap();
            sleep(gap).await;
            while let Some(ended) = asked.try_join_next() {
                ended.expect("no answer was wrong");
            }
            self.follow_outages(house);
            self.turn_lines();
            self.turn_moods();
            self.rush(house, asked);
            self.act(house, clock, asked).await;
            self.visit(house).await;
            if let (End::Trap(left), false, true) = (how, is_set, self.now() >= until) {
                let lane = usize::from(self.one_in(2));
                self.providers[lane].state().trap = Some(left);
                is_set = true;
            }
        }
        if let End::Amid(steps) = how {
            for _ in 0..=self.below(3) {
                self.ask_something(house, asked);
            }
            for _ in 0..steps {
                yield_now().await;
            }
        }
    }

    fn gap(&mut self) -> Duration {
        let night = (self.now().as_secs() / 3600 + 8) % 24 < 7;
        match self.below(10) {
            0..=3 => Duration::from_millis(self.below(300)),
            _ if night => self.about(30 * MINUTE),
            _ => self.about(6 * MINUTE),
        }
    }

    /// For how long processes have known that a lane is not up. One that was up when an operator
    /// held it is in no outage.
    fn follow_outages(&mut self, house: &House) {
        let (now, up, aside) = (self.now(), house.links_are_up(), house.lanes_are_aside());
        for (lane, outage) in self.outages.iter_mut().enumerate() {
            let spoke_at = self.providers[lane].state().spoke_at;
            if spoke_at > outage.spoke_at {
                (outage.seen, outage.spoke_at) = (Duration::ZERO, spoke_at);
            } else if outage.is_down && !up[lane] {
                outage.seen += now.saturating_sub(outage.seen_until);
            }
            let counts = !aside[lane] || !outage.seen.is_zero();
            (outage.seen_until, outage.is_down) = (now, !up[lane] && counts);
        }
    }

    fn turn_lines(&mut self) {
        if self.now() < self.line_until {
            return;
        }
        let was_up = self.providers.iter().all(|provider| provider.line() == Line::Up);
        let line = match self.below(8) {
            _ if !was_up => Line::Up,
            0..=2 => Line::NoRoute,
            3 => Line::NoName,
            4..=5 => Line::Silent,
            6 => Line::Deaf,
            _ => Line::Portal,
        };
        self.line_until = self.now()
            + match self.below(20) {
                _ if line == Line::Up => self.about(6 * HOUR),
                0..=9 => self.about(MINUTE),
                10..=16 => self.about(HOUR),
                _ => 5 * HOUR + self.about(6 * HOUR),
            };
        let both = self.below(3) > 0;
        self.set_lines(line, both);
    }

    /// The first lane's line, or both.
    pub(crate) fn set_lines(&mut self, line: Line, both: bool) {
        for lane in 0..2 {
            if both || lane == 0 || line == Line::Up {
                self.judge_attempts(lane);
                self.providers[lane].set_line(line);
            }
        }
        self.calm_since = self.now();
        self.count(if line == Line::Up { "lines restored" } else { "lines cut" });
        self.note(&format!("{line:?}"));
    }

    /// A link that is down is probed at most on its backoff, whatever the clock does: no wait
    /// collapses.
    pub(crate) fn judge_attempts(&mut self, lane: usize) {
        let now = self.now();
        let outage = &mut self.outages[lane];
        let mut state = self.providers[lane].state();
        let lasted = now.saturating_sub(outage.line_since).as_secs();
        let allowed = outage.allowed + 60 + lasted / 10;
        let is_down = self.providers[lane].line() != Line::Up;
        assert!(
            !is_down || state.attempts <= allowed,
            "{} attempts in {lasted} s, {allowed} allowed",
            state.attempts
        );
        (state.attempts, outage.allowed, outage.line_since) = (0, 0, now);
    }

    fn turn_moods(&mut self) {
        for lane in 0..2 {
            if self.now() < self.mood_until[lane] {
                continue;
            }
            let was = self.providers[lane].state().mood;
            let mood = match self.below(26) {
                _ if was != Mood::Well => Mood::Well,
                0..=7 => Mood::Flaky,
                8..=9 => Mood::Busy(1 + self.below(600)),
                10 => Mood::Broken,
                11..=12 => Mood::Denies,
                13 => Mood::Misdeployed,
                14..=15 => Mood::Edge(404),
                16 => Mood::Edge(400),
                17..=18 => Mood::Firewall,
                19 => Mood::Soft,
                20 => Mood::Foreign,
                23..=24 => Mood::Cuts,
                21 => Mood::Slow,
                22 => Mood::Hangs,
                _ => Mood::Resets,
            };
            if was == Mood::Denies {
                self.providers[lane].renew_credential();
            }
            self.providers[lane].set_mood(mood);
            self.mood_until[lane] =
                self.now() + self.about(if mood == Mood::Well { 4 * HOUR } else { HOUR });
            self.calm_since = self.now();
            self.note(&format!("{mood:?}"));
        }
    }

    pub(crate) async fn act(&mut self, house: &House, clock: &Clock, asked: &mut JoinSet<()>) {
        if self.has_rules && self.one_in(3) {
            return self.act_at_risk(house, asked).await;
        }
        match self.below(100) {
            0..=69 => self.ask_something(house, asked),
            70..=73 => self.take_back(house).await,
            74..=77 => self.look_at_receipt(house).await,
            78..=85 => self.look_at_books(house).await,
            86..=91 => self.turn_clock(clock),
            92..=93 => {
                house.network.send_modify(|count| *count += 1);
                self.allow(4);
            }
            94 => self.suspend(clock),
            95 => {
                self.allow(4);
                let heard = house.operator(Method::POST, "/api/v1/flush").await;
                assert_eq!(heard.status, 200, "{heard:?}");
            }
            96 => {
                self.count("held by an operator");
                self.calm_since = self.now();
                let lane = LANES[usize::from(self.one_in(2))];
                let heard =
                    house.operator(Method::POST, &format!("/api/v1/lanes/{lane}/hold")).await;
                assert_eq!(heard.status, 200, "{heard:?}");
            }
            97 => self.disk_fails(house, asked).await,
            _ => self.hang_up(house).await,
        }
    }

    /// Nothing can be written for a while, and tills ask.
    async fn disk_fails(&mut self, house: &House, asked: &mut JoinSet<()>) {
        self.count("disks that did not write for a while");
        let until = self.now() + self.about(4 * SECOND).min(30 * SECOND);
        Self::disk_writes(false);
        while self.now() < until {
            if self.one_in(2) {
                self.ask_something(house, asked);
            }
            let gap = Duration::from_millis(self.below(2000));
            sleep(gap).await;
        }
        Self::disk_writes(true);
        // The gateway looks once in a second whether it does.
        sleep(3 * SECOND).await;
        self.calm_since = self.now();
    }

    /// Something was done after which a link may probe at once.
    pub(crate) fn allow(&mut self, attempts: u64) {
        for outage in &mut self.outages {
            outage.allowed += attempts;
        }
    }

    /// What a till would ask now: something new, something again, a code that was used.
    fn wanted(&mut self) -> usize {
        let (now, kind) = (self.now(), self.below(20));
        let recent: Vec<usize> = {
            let model = self.model();
            let asks = model.asks.iter().enumerate().rev();
            asks.take_while(|(_, ask)| now < ask.at + ASKED_AGAIN)
                .map(|(n, _)| n)
                .take(400)
                .collect()
        };
        let earlier =
            recent.get(usize::try_from(self.below(recent.len() as u64)).expect("few")).copied();
        match (kind, earlier) {
            (0..=2, Some(n)) => n,
            (3..=4, Some(n)) if now < self.model().first_asked(n) + ASKED_AGAIN => {
                let till = self.below(TILLS);
                let mut model = self.model();
                let (lane, code) = (model.asks[n].lane, model.asks[n].code.clone());
                model.ask(till, lane, &code, now)
            }
            _ if self.has_rules => {
                let (till, lane) = (self.below(TILLS), usize::from(self.one_in(3)));
                let (lane, code) = self.some_checked().unwrap_or_else(|| (lane, self.some_code()));
                if self.one_in(25) {
                    self.providers[lane].state().spent.insert(code.clone());
                }
                self.model().ask(till, lane, &code, now)
            }
            _ => {
                self.codes += 1;
                let (till, lane) = (self.below(TILLS), usize::from(self.one_in(3)));
                let kind = if self.one_in(12) { INVENTED } else { "CODE" };
                let code = format!("{kind}-{:06}-{}", self.codes, self.dice.bits() % 1000);
                if self.one_in(25) {
                    self.providers[lane].state().spent.insert(code.clone());
                }
                self.model().ask(till, lane, &code, now)
            }
        }
    }

    /// Sends it; what comes of it is judged when it is heard.
    pub(crate) fn asking(
        &mut self,
        house: &House,
        n: usize,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (till, lane, code, body, before) = {
            let mut model = self.model();
            let before = model.highest();
            let ask = &mut model.asks[n];
            ask.sent += 1;
            // Until it is answered nobody knows what has become of it this time.
            ask.fate = if ask.fate == Fate::Refused { Fate::Open } else { ask.fate };
            (ask.till, ask.lane, ask.code.clone(), ask.body.clone(), before)
        };
        self.note(&body);
        self.sent_at = self.now();
        // Three tries, a check or two, and a probe on demand.
        self.allow(6);
        let (now, outage) = (self.now(), self.outages[lane]);
        let at_ask = self.before_asking(n);
        let (model, provider) = (Arc::clone(&self.model), self.providers[lane].clone());
        let ticket = provider.state().asks(&code, now);
        let answer = house.till(till, Method::POST, "/redeem", body);
        async move {
            let heard = answer.await;
            // The box may have slept meanwhile.
            let heard_at = provider.now();
            provider.note(&(heard.status, heard.header("redeemd-state").map(str::to_owned)));
            let state_of_line = provider.line();
            let mut state = provider.state();
            state.hears(ticket, heard_at);
            let limit = model.lock().expect("no panic before this one").hear(
                n,
                (before, now),
                &heard,
                &state,
            );
            model.lock().expect("no panic before this one").given(
                n,
                &at_ask,
                (heard_at, (state_of_line, state.nameless_at)),
                &heard,
            );
            assert!(
                limit != Some(Limit::Outage) || now + outage.slept >= MAX_OUTAGE,
                "refused at {now:?}: {heard:?}"
            );
            // A lane whose attempts have failed for longer than the limit takes nothing more on
            // trust.
            let on_trust = heard.header("redeemd-state") == Some("pending") && heard.status == 200;
            let is_new = model.lock().expect("no panic before this one").asks[n].sent == 1;
            let outlasts = outage.seen > MAX_OUTAGE + HOUR / 2
                && outage.is_down
                && state.spoke_at == outage.spoke_at;
            let at_once = state.line_at >= now;
            let answered =
                state.answered_at > now && state.answered_at + SOON < heard_at && !at_once;
            let is_invented = code.starts_with(INVENTED);
            assert!(
                !(on_trust && is_new && is_invented && answered),
                "given at {heard_at:?}, asked at {now:?}: {heard:?}"
            );
            assert!(
                !(on_trust && is_new && state.was_limited(now, heard_at)),
                "given under a 429 at {heard_at:?}, asked at {now:?}: {heard:?}"
            );
            assert!(
                !(on_trust && is_new && outlasts),
                "accepted after an outage of {outage:?} at {now:?}: {heard:?}"
            );
        }
    }

    fn ask_something(&mut self, house: &House, asked: &mut JoinSet<()>) {
        let n = self.wanted();
        let asking = self.asking(house, n);
        asked.spawn(asking);
    }

    /// Once in an outage that has lasted, more customers at once than may wait.
    fn rush(&mut self, house: &House, asked: &mut JoinSet<()>) {
        for lane in 0..LANES.len() {
            let outage = &mut self.outages[lane];
            let is_time = outage.is_down && outage.seen > HOUR;
            if std::mem::replace(&mut outage.rushed, is_time) || !is_time {
                continue;
            }
            for _ in 0..=MAX_PENDING {
                self.codes += 1;
                let is_gift = self.has_rules && self.codes.is_multiple_of(5);
                let kind = if is_gift { "GIFT" } else { "CODE" };
                let (till, code) = (self.codes % TILLS, format!("{kind}-{:06}-rush", self.codes));
                let n = self.model().ask(till, lane, &code, self.now());
                let asking = self.asking(house, n);
                asked.spawn(asking);
            }
        }
    }

    async fn hang_up(&mut self, house: &House) {
        let n = self.wanted();
        let patience = Duration::from_millis(self.below(500));
        self.count("hung up");
        let asking = self.asking(house, n);
        // What was committed stands, and its till asks again.
        drop(timeout(patience, asking).await);
    }

    fn some_known(&mut self) -> Option<(usize, u64, String)> {
        let now = self.now();
        let known: Vec<_> = {
            let model = self.model();
            let asks = model
                .asks
                .iter()
                .enumerate()
                .rev()
                .take_while(|(_, ask)| now < ask.at + ASKED_AGAIN);
            let own = asks.filter(|(_, ask)| !ask.is_anothers);
            own.filter_map(|(n, ask)| Some((n, ask.till, ask.id.clone()?))).take(60).collect()
        };
        known.get(usize::try_from(self.below(known.len() as u64)).expect("few")).cloned()
    }

    async fn take_back(&mut self, house: &House) {
        let Some((n, till, id)) = self.some_known() else { return };
        let heard =
            house.till(till, Method::DELETE, &format!("/redemptions/{id}"), String::new()).await;
        let lane = self.model().asks[n].lane;
        let provider = self.providers[lane].clone();
        self.model().hear_void(n, &heard, &provider.state());
    }

    async fn look_at_receipt(&mut self, house: &House) {
        let Some((n, till, id)) = self.some_known() else { return };
        let heard =
            house.till(till, Method::GET, &format!("/redemptions/{id}"), String::new()).await;
        let now = self.now();
        self.model().hear_receipt(n, &heard, now);
    }

    /// The books balance, hold all that tills know of, never go back; and when all has been well
    /// for a while, nothing is pending.
    pub(crate) async fn look_at_books(&mut self, house: &House) {
        let known = self.model().known();
        let heard = house.operator(Method::GET, "/api/v1/status").await;
        self.count("looks at the books");
        let counts = &heard.body["counts"];
        let of = |state: &str| counts[state].as_u64().expect("a count");
        let sum: u64 =
            ["pending", "confirmed", "declined", "parked", "voided"].map(of).iter().sum();
        assert_eq!(of("accepted"), sum, "{heard:?}");
        assert!(of("accepted") >= known.max(self.accepted_least), "{known} are known: {heard:?}");
        self.accepted_least = of("accepted");
        assert!(heard.body["storage"]["ok"] == true, "{heard:?}");
        self.look_at_declines(house).await;
        let is_held = Self::held(&heard).next().is_some();
        if !is_held && self.is_calm() {
            assert_eq!(
                of("pending"),
                0,
                "calm since {:?}, now {:?}: {heard:?}",
                self.calm_since,
                self.now()
            );
            self.count("looks when all had been well");
        }
    }

    /// Nothing that the provider took is declined, whoever is asked.
    async fn look_at_declines(&self, house: &House) {
        let heard =
            house.operator(Method::GET, "/api/v1/redemptions?state=declined&limit=100").await;
        for row in heard.body["redemptions"].as_array().expect("rows") {
            let id = row["id"].as_str().expect("an id");
            let taken = self.providers.iter().any(|provider| provider.state().has_taken(id));
            assert!(!taken, "{id} was taken and is declined: {row:?}");
        }
    }

    /// What the provider itself has refused is closed, and what another one has used; the rest is
    /// sent again.
    async fn see_to(&mut self, house: &House, id: &str) {
        let refused = self.providers.iter().any(|provider| {
            let state = provider.state();
            state.declined.contains(id) && !state.has_taken(id)
        });
        if !refused {
            let heard = house
                .operator_says(Method::POST, &format!("/api/v1/redemptions/{id}/retry"), "{}")
                .await;
            match self.holder(id, &heard).as_deref() {
                None => return self.count("retried by an operator"),
                // Its code was spent by the other one.
                Some("confirmed") => self.count("not retried: its code was used"),
                Some(_) => return self.count("not retried: another one comes first"),
            }
        }
        let (path, note) = (format!("/api/v1/redemptions/{id}/void"), r#"{"note":"refused"}"#);
        let heard = house.operator_says(Method::POST, &path, note).await;
        assert_eq!(heard.status, 200, "void {id}: {heard:?}");
        self.model().closed.insert(id.to_owned());
        self.count("closed by an operator");
    }

    /// How another redemption stands that holds the code of this one, which therefore was not
    /// retried. It is about the same code, and the provider took that one or knew the code as
    /// spent, never this one.
    fn holder(&self, id: &str, heard: &Heard) -> Option<String> {
        if heard.status == 200 {
            return None;
        }
        let told = heard.body["detail"]
            .as_str()
            .and_then(|detail| detail.strip_prefix("its code is held by "));
        let (other, state) =
            told.and_then(|told| told.split_once(", which is ")).expect("who holds the code");
        assert!(heard.status == 409 && other != id, "retry {id}: {heard:?}");
        let (own, code) = (self.code_of(id), self.code_of(other));
        // What never reached a provider, and of whose number no till was told, nobody here knows.
        let is_same = own.is_none() || code.is_none() || own == code;
        assert!(is_same, "{id} and {other} are about two codes, {own:?} and {code:?}: {heard:?}");
        let is_taken = self.providers.iter().any(|provider| {
            let known = provider.state();
            assert!(!known.has_taken(id), "{id} was taken and another one is confirmed: {heard:?}");
            known.has_taken(other) || code.as_ref().is_some_and(|code| known.spent.contains(code))
        });
        assert!(
            is_taken || state != "confirmed",
            "{other} is confirmed and was not taken: {heard:?}"
        );
        Some(state.to_owned())
    }

    /// The code for which a redemption was sent, or of which its till was told.
    fn code_of(&self, id: &str) -> Option<String> {
        let sent = |provider: &Provider| {
            let state = provider.state();
            state
                .codes
                .iter()
                .find(|(_, seen)| seen.keys.contains_key(id))
                .map(|(code, _)| code.clone())
        };
        self.providers.iter().find_map(sent).or_else(|| {
            self.model()
                .asks
                .iter()
                .find(|ask| ask.id.as_deref() == Some(id))
                .map(|ask| ask.code.clone())
        })
    }

    fn is_calm(&self) -> bool {
        let is_well = |provider: &Provider| {
            let mood = provider.state().mood;
            provider.line() == Line::Up && mood == Mood::Well && provider.takes_the_credential()
        };
        // What was asked a moment ago may still be on its way.
        let is_quiet = self.now() > self.sent_at + MINUTE;
        is_quiet && self.now() > self.calm_since + CALM && self.providers.iter().all(is_well)
    }

    /// Lanes that wait for a person.
    fn held(status: &Heard) -> impl Iterator<Item = &str> {
        let lanes = status.body["lanes"].as_array().expect("lanes").iter();
        lanes
            .filter(|lane| lane["link"] == "held" && lane["cause"] != "credential")
            .map(|lane| lane["name"].as_str().expect("a name"))
    }

    fn turn_clock(&mut self, clock: &Clock) {
        let can_hear = self.providers.iter().any(|provider| provider.line() == Line::Up);
        match self.below(4) {
            0 if self.trusted => {
                self.wall_offset_ms += i64::try_from(self.below(4001)).expect("few") - 2000;
                self.count("clock steps of a second or two");
            }
            0..=1 if can_hear => {
                (self.wall_offset_ms, self.trusted) = (0, true);
                self.count("clocks set by NTP");
            }
            2 if !self.trusted => {
                let years = i64::try_from(self.below(60)).expect("few") - 30;
                self.wall_offset_ms += years * 365 * millis(DAY);
                self.count("clock jumps by years");
            }
            3 if self.one_in(3) => {
                self.trusted = false;
                self.wall_offset_ms +=
                    i64::try_from(self.below(2 * 24 * 3_600_000)).expect("few") - millis(DAY);
                self.count("clocks that lost their trust");
            }
            _ => return,
        }
        clock.set(BEGAN_MS + millis(self.now()) + self.wall_offset_ms, self.trusted);
        let now = self.now();
        self.model().risk.clock_turned(now);
        self.note(&self.wall_offset_ms.clone());
    }

    /// The box sleeps: the runtime's time stands still, the world's and the clocks' goes on.
    fn suspend(&mut self, clock: &Clock) {
        let asleep = self.about(20 * MINUTE);
        clock.sleep(asleep);
        self.before += asleep;
        self.on_for += asleep;
        let runtime_began = self.now();
        for provider in &self.providers {
            provider.begin(runtime_began);
        }
        for outage in &mut self.outages {
            outage.seen_until += asleep;
            outage.slept += asleep;
        }
        // What is on the wire has slept as well, and what tills wait for.
        self.sent_at = self.now();
        for provider in &self.providers {
            provider.state().slept(asleep);
        }
        self.count("suspended");
    }

    /// An operator comes by: releases what is held, retries what was declined for nothing and what
    /// is parked.
    pub(crate) async fn visit(&mut self, house: &House) {
        if self.now() < self.operator_at {
            return;
        }
        self.operator_at = self.now() + self.about(3 * HOUR);
        let status = house.operator(Method::GET, "/api/v1/status").await;
        let held: Vec<String> = Self::held(&status).map(str::to_owned).collect();
        for lane in held {
            self.calm_since = self.now();
            for action in ["retry-held", "release"] {
                let heard =
                    house.operator(Method::POST, &format!("/api/v1/lanes/{lane}/{action}")).await;
                // What is not held for declines has none to take back.
                let is_none = action == "retry-held" && heard.status == 409;
                assert!(heard.status == 200 || is_none, "{heard:?}");
            }
            self.allow(4);
            self.count("released by an operator");
        }
        let parked = house.operator(Method::GET, "/api/v1/redemptions?state=parked&limit=50").await;
        let ids: Vec<String> = parked.body["redemptions"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect();
        for id in ids {
            self.see_to(house, &id).await;
            self.calm_since = self.now();
        }
        if self.has_rules {
            self.handle(house, false).await;
        }
    }
}
