//! `/metrics`: `OpenMetrics`, or the older text format for a reader that asks for it.

use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse;

use super::Admin;
use super::process::Process;
use super::status::{LaneView, Status};
use crate::{answered, refused};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(super) async fn metrics(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::wanted(accept);
    let content_type = match format {
        Format::OpenMetrics => OPENMETRICS,
        Format::Text => TEXT,
    };
    let process = Process::now(admin.access.rules().state_dir.as_deref());
    let body = render(&admin.look().await, &process, format);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body)
}

/// The two differ in the name of a counter's family, in the units and in the end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    OpenMetrics,
    Text,
}

impl Format {
    fn wanted(accept: &str) -> Self {
        let only_text = accept.contains("text/plain") && !accept.contains("openmetrics");
        if only_text { Self::Text } else { Self::OpenMetrics }
    }
}

/// The whole page.
fn render(status: &Status, process: &Process, format: Format) -> String {
    let mut page = MetricsText { text: String::with_capacity(4096), format };
    gateway(&mut page, status);
    books(&mut page, status);
    lanes(&mut page, &status.lanes);
    risk(&mut page, status);
    tills(&mut page, status);
    machine(&mut page, process);
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn gateway(page: &mut MetricsText, status: &Status) {
    page.family("redeemd_build_info", "gauge", "The running version; always 1");
    page.sample("redeemd_build_info", &[("version", status.version)], 1);
    page.single("redeemd_uptime_seconds", "Seconds since the process started", status.uptime_s);
    page.single(
        "redeemd_ready",
        "1 when the redemption of some till could be taken",
        u64::from(status.ready),
    );
    page.single(
        "redeemd_storage_ok",
        "1 when redemptions can be stored",
        u64::from(status.storage.ok),
    );
    page.single(
        "redeemd_clock_trusted",
        "1 when the wall clock is synchronised",
        u64::from(status.clock_trusted),
    );
    page.family("redeemd_log_dropped", "counter", "Lines of the log that nobody took in time");
    page.sample("redeemd_log_dropped_total", &[], status.log_dropped);
    let help = "Steps that the database took for whoever looks, by thousands";
    page.family("redeemd_read_steps", "counter", help);
    page.sample("redeemd_read_steps_total", &[], crate::store::read_steps());
    let help = "Settings that were read and that take a restart";
    page.single("redeemd_settings_waiting_for_restart", help, status.restart_keys.len());
    page.single(
        "redeemd_reload_faults",
        "Faults of the last reload, 0 when it was taken",
        status.reload_faults.len(),
    );
}

fn books(page: &mut MetricsText, status: &Status) {
    let help = "1 when accepted = pending + confirmed + declined + parked + voided";
    page.single("redeemd_books_balanced", help, u64::from(status.balanced));
    let help = "Age of the oldest pending redemption, 0 without one";
    page.single(
        "redeemd_oldest_pending_age_seconds",
        help,
        status.oldest_pending_age_s.unwrap_or(0),
    );

    page.family("redeemd_accepted", "counter", "Redemptions ever accepted, imported or salvaged");
    for lane in &status.lanes {
        page.sample("redeemd_accepted_total", &[("lane", &lane.status.name)], lane.counts.accepted);
    }
    page.family("redeemd_redemptions", "gauge", "Redemptions by state, over the store's life");
    for lane in &status.lanes {
        let counts = &lane.counts;
        let by_state = [
            ("pending", counts.pending),
            ("confirmed", counts.confirmed),
            ("declined", counts.declined),
            ("parked", counts.parked),
            ("voided", counts.voided),
        ];
        for (state, count) in by_state {
            page.sample(
                "redeemd_redemptions",
                &[("lane", &lane.status.name), ("state", state)],
                count,
            );
        }
    }
}

fn lanes(page: &mut MetricsText, lanes: &[LaneView]) {
    page.family(
        "redeemd_lane_link",
        "gauge",
        "1 for the state that the lane's link is in, 0 for the others",
    );
    for lane in lanes {
        for link in ["up", "down", "held"] {
            let labels = [("lane", lane.status.name.as_str()), ("link", link)];
            page.sample("redeemd_lane_link", &labels, u64::from(lane.status.seen == link));
        }
    }
    page.family(
        "redeemd_lane_cause",
        "gauge",
        "1 for the cause why the lane is not up; absent while it is up",
    );
    for lane in lanes {
        if let Some(cause) = &lane.status.cause {
            page.sample("redeemd_lane_cause", &[("lane", &lane.status.name), ("cause", cause)], 1);
        }
    }
    let help = "How many attempts the drain may have on the wire";
    page.by_lane("redeemd_lane_window", help, lanes, |lane| lane.status.window);
    page.by_lane("redeemd_lane_in_flight", "Attempts on the wire", lanes, |lane| {
        lane.status.in_flight
    });
    let help = "What is left of the provider's Retry-After";
    page.by_lane("redeemd_lane_retry_after_seconds", help, lanes, |lane| {
        lane.status.waiting_s.unwrap_or(0)
    });
    provider_times(page, lanes);
    page.family(
        "redeemd_attempts",
        "counter",
        "Attempts that ended since the process started, by outcome",
    );
    for lane in lanes {
        for (outcome, count) in &lane.status.attempts {
            page.sample(
                "redeemd_attempts_total",
                &[("lane", &lane.status.name), ("outcome", outcome)],
                count,
            );
        }
    }
}

/// What is at risk and what may still be given on trust.
fn risk(page: &mut MetricsText, status: &Status) {
    let lanes = &status.lanes;
    let help = "What is at risk: given on trust and not settled well or handled";
    page.by_lane("redeemd_exposure", help, lanes, |lane| lane.risk.exposure);
    let help = "What was ever declined after it had been given";
    page.by_lane("redeemd_lost", help, lanes, |lane| lane.risk.lost);
    page.family("redeemd_waiting", "gauge", "Redemptions that wait for a person");
    for lane in lanes {
        if let Some(waiting) = lane.risk.waiting {
            page.sample("redeemd_waiting", &[("lane", &lane.status.name)], waiting);
        }
    }
    let help = "1 while an operator has switched trust off";
    page.by_lane("redeemd_trust_off", help, lanes, |lane| u64::from(lane.risk.trust_off.is_some()));
    page.family("redeemd_headroom", "gauge", "What is left of an offline limit of the lane");
    for lane in lanes {
        for (limit, left) in lane.risk.left() {
            let labels = [("lane", lane.status.name.as_str()), ("limit", limit)];
            page.sample("redeemd_headroom", &labels, left);
        }
    }
    page.family("redeemd_rule_headroom", "gauge", "What is left of a limit of an offline rule");
    for (rule, limits) in &status.rules {
        for (limit, gauge) in limits {
            page.sample("redeemd_rule_headroom", &[("rule", rule), ("limit", limit)], gauge.left());
        }
    }
}

/// Of the last 1,000 answers of a day at most; absent where there are too few to tell.
fn provider_times(page: &mut MetricsText, lanes: &[LaneView]) {
    let known: Vec<_> =
        lanes.iter().filter_map(|lane| Some((&lane.status.name, lane.status.answers?))).collect();
    let name = "redeemd_provider_answer_p50_seconds";
    page.family(name, "gauge", "Within which time the provider answers half of what tills ask");
    for (lane, times) in &known {
        page.sample(name, &[("lane", lane)], seconds(times.p50_ms.saturating_mul(1000)));
    }
    let name = "redeemd_provider_answer_p95_seconds";
    page.family(name, "gauge", "Within which time it answers 95 in 100");
    for (lane, times) in &known {
        page.sample(name, &[("lane", lane)], seconds(times.p95_ms.saturating_mul(1000)));
    }
    let name = "redeemd_provider_late_ratio";
    page.family(name, "gauge", "Which part of them came later than a till waits");
    for (lane, times) in &known {
        let millionths = times.late.saturating_mul(1_000_000) / times.of.max(1);
        page.sample(
            name,
            &[("lane", lane)],
            seconds(u64::try_from(millionths).unwrap_or(u64::MAX)),
        );
    }
}

fn tills(page: &mut MetricsText, status: &Status) {
    page.family(
        "redeemd_refused",
        "counter",
        "Requests of tills refused without the provider's word, by reason",
    );
    for reason in refused::Reason::ALL {
        page.sample(
            "redeemd_refused_total",
            &[("reason", reason.as_str())],
            refused::total(reason),
        );
    }
    page.family(
        "redeemd_checks",
        "counter",
        "Checks of tills since the process started, by what answered them",
    );
    for (by, count) in &status.checks {
        page.sample("redeemd_checks_total", &[("by", by)], count);
    }
    page.single(
        "redeemd_checks_remembered",
        "Answers to checks that are remembered",
        status.checks_remembered,
    );
    let (name, times) = ("redeemd_answer_seconds", answered::total());
    page.family(name, "histogram", "How long tills with a token waited for their answers");
    for (bound_ms, count) in times.within {
        let bound = seconds(bound_ms.saturating_mul(1000));
        page.sample(&format!("{name}_bucket"), &[("le", &bound)], count);
    }
    page.sample(&format!("{name}_bucket"), &[("le", "+Inf")], times.count);
    page.sample(&format!("{name}_count"), &[], times.count);
    page.sample(&format!("{name}_sum"), &[], seconds(times.sum_us));
}

/// Microseconds as seconds with a fraction, as both formats write numbers.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}

/// What the system says; these names are every exporter's.
fn machine(page: &mut MetricsText, process: &Process) {
    let gauges = [
        ("redeemd_database_bytes", "Size of the database", process.database_bytes),
        ("redeemd_database_log_bytes", "Size of the database's write-ahead log", process.log_bytes),
        ("process_resident_memory_bytes", "Resident memory", process.resident_bytes),
        ("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes),
        ("process_open_fds", "Open file descriptors", process.open_files),
        ("process_max_fds", "How many file descriptors may be open", process.open_files_max),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.single(name, help, value);
        }
    }
    if let Some(started) = process.started_s {
        page.single(
            "process_start_time_seconds",
            "When the process started, Unix seconds",
            format!("{started:.2}"),
        );
    }
    if let Some(cpu) = process.cpu_s {
        page.family("process_cpu_seconds", "counter", "Time on the processor, user's and system's");
        page.sample("process_cpu_seconds_total", &[], format!("{cpu:.2}"));
    }
}

struct MetricsText {
    text: String,
    format: Format,
}

impl MetricsText {
    /// A family's head. `name` is without a counter's `_total`; a unit is the name's last word.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let total = if kind == "counter" && self.format == Format::Text { "_total" } else { "" };
        self.line(format_args!("# TYPE {name}{total} {kind}"));
        let unit =
            ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
        self.line(format_args!("# HELP {name}{total} {help}"));
    }

    fn single(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn by_lane<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        lanes: &[LaneView],
        value: impl Fn(&LaneView) -> V,
    ) {
        self.family(name, "gauge", help);
        for lane in lanes {
            self.sample(name, &[("lane", &lane.status.name)], value(lane));
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        writeln!(self.text, "{line}").unwrap_or_default();
    }
}

/// A label's value as both formats want it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::sample;
    use super::*;
    use crate::queue::AnswerTimes;

    /// The rules of both formats that a reader relies on: each family once, its head before its
    /// samples, type before help, every sample under the family that stands above it, no line
    /// twice.
    fn check(page: &str, counter_suffix_in_type: bool) {
        let mut families = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for line in page.lines().filter(|line| *line != "# EOF") {
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "twice: {line}");
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let is_ours = name.starts_with("redeemd_") || name.starts_with("process_");
                assert!(!families.contains(&(name, kind)) && is_ours, "{line}");
                assert_eq!(
                    kind == "counter" && counter_suffix_in_type,
                    name.ends_with("_total"),
                    "{line}"
                );
                families.push((name, kind));
            } else {
                let (family, kind) = *families.last().unwrap();
                let name = line.trim_start_matches("# HELP ").trim_start_matches("# UNIT ");
                let name = name.split(['{', ' ']).next().unwrap();
                let is_sample = !line.starts_with('#');
                let of_histogram =
                    ["_bucket", "_count", "_sum"].map(|end| format!("{family}{end}"));
                if is_sample && kind == "histogram" && of_histogram.iter().any(|its| its == name) {
                    continue;
                }
                let suffix = if is_sample && kind == "counter" && !counter_suffix_in_type {
                    "_total"
                } else {
                    ""
                };
                assert_eq!(name, format!("{family}{suffix}"), "{line}");
                assert!(
                    !is_sample || line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(),
                    "{line}"
                );
            }
        }
        assert!(families.len() > 10);
    }

    #[test]
    fn the_page_keeps_the_rules_of_openmetrics() {
        let page = render(&sample(), &Process::now(None), Format::OpenMetrics);
        assert!(page.ends_with("\n# EOF\n") && page.matches("# EOF").count() == 1);
        assert!(page.contains(
            "# TYPE redeemd_uptime_seconds gauge\n# UNIT redeemd_uptime_seconds seconds\n# HELP "
        ));
        check(&page, false);
    }

    #[test]
    fn the_older_format_names_a_counter_whole_and_has_no_end_mark() {
        let page = render(&sample(), &Process::now(None), Format::Text);
        assert!(
            page.contains("# TYPE redeemd_attempts_total counter\n") && !page.contains("# EOF")
        );
        check(&page, true);
    }

    #[test]
    fn every_figure_is_where_a_reader_looks_for_it() {
        let page = render(&sample(), &Process::now(None), Format::OpenMetrics);
        for line in [
            "redeemd_build_info{version=\"1.2.3\"} 1",
            "redeemd_uptime_seconds 61",
            "redeemd_storage_ok 1",
            "redeemd_clock_trusted 0",
            "redeemd_log_dropped_total 4",
            "redeemd_checks_total{by=\"passed\"} 6",
            "redeemd_checks_remembered 14",
            "redeemd_oldest_pending_age_seconds 12",
            "redeemd_redemptions{lane=\"retm\",state=\"confirmed\"} 5",
            "redeemd_accepted_total{lane=\"retm\"} 10",
            "redeemd_lane_link{lane=\"retm\",link=\"down\"} 1",
            "redeemd_lane_link{lane=\"retm\",link=\"up\"} 0",
            "redeemd_lane_cause{lane=\"retm\",cause=\"connect\"} 1",
            "redeemd_lane_window{lane=\"retm\"} 1",
            "redeemd_exposure{lane=\"retm\"} 12.50",
            "redeemd_lost{lane=\"retm\"} 7.00",
            "redeemd_waiting{lane=\"retm\"} 2",
            "redeemd_trust_off{lane=\"retm\"} 0",
            "redeemd_headroom{lane=\"retm\",limit=\"max_pending\"} 97",
            "redeemd_headroom{lane=\"retm\",limit=\"max_exposure\"} 87.50",
            "redeemd_rule_headroom{rule=\"gifts\",limit=\"max_pending\"} 3",
            "redeemd_attempts_total{lane=\"retm\",outcome=\"connect\"} 2",
        ] {
            assert!(page.lines().any(|its| its == line), "{line}\n{page}");
        }
    }

    #[test]
    fn the_providers_times_are_there_once_they_are_known() {
        let mut status = sample();
        let times = AnswerTimes { p50_ms: 310, p95_ms: 4210, late: 61, of: 1000 };
        status.lanes[0].status.answers = Some(times);
        let page = render(&status, &Process::now(None), Format::OpenMetrics);
        check(&page, false);
        for line in [
            "redeemd_provider_answer_p50_seconds{lane=\"retm\"} 0.31",
            "redeemd_provider_answer_p95_seconds{lane=\"retm\"} 4.21",
            "redeemd_provider_late_ratio{lane=\"retm\"} 0.061",
        ] {
            assert!(page.lines().any(|its| its == line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_lanes_name_cannot_break_out_of_its_label() {
        let page = render(&sample(), &Process::now(None), Format::OpenMetrics);
        assert!(page.contains(r#"redeemd_lane_window{lane="o\"th\\er\n"} 1"#), "{page}");
    }

    #[test]
    fn a_reader_that_knows_only_the_older_format_gets_it() {
        assert_eq!(Format::wanted("text/plain;version=0.0.4"), Format::Text);
        assert_eq!(
            Format::wanted("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
            Format::OpenMetrics
        );
        assert_eq!(
            (Format::wanted("*/*"), Format::wanted("")),
            (Format::OpenMetrics, Format::OpenMetrics)
        );
    }
}
