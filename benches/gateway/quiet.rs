//! Whether the machine was ours while it was measured. Others' work and a host that takes the
//! processor away make every figure smaller; ratios of one run suffer less.

use std::time::Duration;

use crate::Failure;
use crate::report::ratio;

/// How much of the processors others may use before a run is called disturbed.
const OTHERS_MAX: f64 = 0.05;
/// How much the host may take away.
const STOLEN_MAX: f64 = 0.01;
/// How long is looked before anything of ours runs.
const LOOK: Duration = Duration::from_secs(2);

/// Processor time since the machine was started, in ticks.
struct Ticks {
    all: u64,
    busy: u64,
    stolen: u64,
    ours: u64,
}

/// A look at the machine over a span of time.
pub(crate) struct Watch(Ticks);

impl Watch {
    pub(crate) fn begin() -> Result<Self, Failure> {
        Ok(Self(Ticks::now()?))
    }

    /// What the machine did since, but for this program and the processes that it has ended
    /// meanwhile.
    pub(crate) fn end(&self) -> Result<String, Failure> {
        let now = Ticks::now()?;
        let all = now.all.saturating_sub(self.0.all).max(1);
        let ours = now.ours.saturating_sub(self.0.ours);
        let others = ratio(now.busy.saturating_sub(self.0.busy).saturating_sub(ours), all);
        let stolen = ratio(now.stolen.saturating_sub(self.0.stolen), all);
        let verdict =
            if others > OTHERS_MAX || stolen > STOLEN_MAX { "NOT QUIET" } else { "quiet" };
        let (others, stolen) = (others * 100.0, stolen * 100.0);
        Ok(format!(
            "{verdict}: others used {others:.0} % of the processors, the host took {stolen:.1} %"
        ))
    }
}

impl Ticks {
    fn now() -> Result<Self, Failure> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().ok_or("nothing in /proc/stat")?;
        // user, nice, system, idle, iowait, irq, softirq, steal: `proc_stat(5)`.
        let fields: Vec<u64> =
            line.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
        let at = |place: usize| fields.get(place).copied().unwrap_or(0);
        let busy = at(0) + at(1) + at(2) + at(5) + at(6);
        Ok(Self { all: fields.iter().sum(), busy, stolen: at(7), ours: own_ticks()? })
    }
}

/// This process and the children that it has waited for: `proc_pid_stat(5)`, fields 14 to 17.
fn own_ticks() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = text.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    Ok(after_name.split_whitespace().skip(11).take(4).flat_map(str::parse::<u64>).sum())
}

/// How the machine is before anything of ours runs.
#[expect(clippy::disallowed_methods, reason = "a benchmark waits in real time")]
pub(crate) fn before() -> Result<String, Failure> {
    let watch = Watch::begin()?;
    std::thread::sleep(LOOK);
    let processors = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or("?");
    Ok(format!("{}, {processors} processors, load {load}", watch.end()?))
}
