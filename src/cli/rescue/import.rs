//! `import`: the rows of an export into this gateway, batch by batch, through the daemon or where
//! there is none.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::{hand_over, services_place, settings, two_places, unopened};
use crate::admin::{IMPORT_ROWS_MAX, user_name};
use crate::cli::args::ImportArgs;
use crate::cli::ask::Daemon;
use crate::cli::exit::{CliError, say};
use crate::cli::interrupted::Stops;
use crate::clock::{Clock, Days, Zone};
use crate::limits::LaneNow;
use crate::message::{Language, Noun, count};
use crate::settings::Loaded;
use crate::store::{
    Arrived, ExportLine, Exported, FORMAT, Found, Import, OpenReport, Store, Surroundings, unseal,
};

/// Instead of a file that is read.
const STANDARD_INPUT: &str = "-";
/// The longest line of an export, in bytes: a body and a provider's answer with every byte escaped.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// How many bytes of lines go into one batch before it is sent.
const BATCH_BYTES: usize = 512 * 1024;
/// How many lines are read before they are needed.
const LINES_AHEAD: usize = 16;
/// How many redemptions and lines are named one by one; the others are counted.
const NAMED_MAX: usize = 100;

/// Somebody stopped it.
const INTERRUPTED: &str =
    "interrupted: what was imported stays; import the same file again for the rest";

/// After so many lines none of which is an export's, nothing more is read.
const FOREIGN_LINES: u64 = 20;
/// How a database begins.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Where the rows go.
enum RowTarget {
    Daemon(Daemon),
    Store(Box<StoppedStore>),
}

/// This gateway's store while no daemon has it.
struct StoppedStore {
    store: Store,
    loaded: Loaded,
    days: Days,
}

/// What the daemon answers.
#[derive(Default, Deserialize)]
struct ImportAnswer {
    arrived: Vec<Arrived>,
    not_configured: BTreeSet<String>,
}

/// The work in progress and what came of it.
#[derive(Default)]
struct Work {
    file: PathBuf,
    from: String,
    batch: Vec<(u64, Exported)>,
    batch_bytes: usize,
    rows: u64,
    imported: u64,
    already_there: u64,
    parked: u64,
    refused: u64,
    refused_lines: Vec<u64>,
    /// Some line is one of an export.
    is_export: bool,
    /// What was refused before any.
    unsaid: Vec<String>,
    not_configured: BTreeSet<String>,
    ended: Option<u64>,
}

/// `redeemd import`
pub(in crate::cli) async fn import(
    config: Option<&Path>,
    args: &ImportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (mut file, name) = source(&args.file)?;
    refuse_database(&mut file, &name)?;
    // Before the store is opened: whoever stops the import then has it closed in order.
    let mut stops = Stops::new()?;
    let mut target = target(config).await?;
    let mut work = Work { file: name, ..Work::default() };
    let done = work.read(file, &mut target, &mut stops).await;
    if let RowTarget::Store(offline) = target {
        offline.close()?;
    }
    if work.is_foreign() {
        return done.and(Err(no_export(&work.file, "a file without a line of one")));
    }
    work.tell(done.is_ok(), json, out)?;
    done?;
    if work.is_whole() { Ok(()) } else { Err(CliError::SaidAlready) }
}

/// What is read, and its name in messages.
fn source(path: &Path) -> Result<(Box<dyn BufRead + Send>, PathBuf), CliError> {
    if path == Path::new(STANDARD_INPUT) {
        let input = BufReader::new(std::io::stdin());
        return Ok((Box::new(input), PathBuf::from("standard input")));
    }
    let file = File::open(path);
    let file = file.map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(no_export(path, "a folder; name the file that `redeemd export` wrote"));
    }
    Ok((Box::new(BufReader::new(file)), path.to_owned()))
}

fn no_export(file: &Path, what: &str) -> CliError {
    CliError::Failed(format!("{} is no export: it is {what}", file.display()))
}

/// A database is one long line, or thousands.
fn refuse_database(input: &mut impl BufRead, name: &Path) -> Result<(), CliError> {
    let begin = input.fill_buf().map_err(|error| CliError::from(error).about(name.display()))?;
    if !begin.starts_with(DATABASE) {
        return Ok(());
    }
    Err(no_export(name, "a database; `redeemd export` makes one of what its gateway holds"))
}

/// The daemon if one answers, else its store under its lock.
async fn target(config: Option<&Path>) -> Result<RowTarget, CliError> {
    let daemon = Daemon::find(config)?;
    match daemon.get("/api/v1/status").await {
        Ok(_) => Ok(RowTarget::Daemon(daemon)),
        Err(CliError::Unavailable(why) | CliError::Unanswered(why)) => {
            let loaded = settings(config)?;
            let dir = &loaded.settings.gateway.state_dir;
            // A service that begins in an empty folder would never send them either.
            if let Some(services) = services_place(config, dir).await {
                return Err(two_places(dir, &services));
            }
            Ok(RowTarget::Store(Box::new(StoppedStore::open(loaded, &why)?)))
        }
        Err(error) => Err(error),
    }
}

impl RowTarget {
    async fn take(&mut self, from: &str, rows: Vec<Exported>) -> Result<ImportAnswer, CliError> {
        match self {
            Self::Daemon(daemon) => {
                let value =
                    daemon.act("/api/v1/import", &json!({ "from": from, "rows": rows })).await?;
                serde_json::from_value(value).map_err(|_| {
                    CliError::Internal("the daemon's answer cannot be read".to_owned())
                })
            }
            Self::Store(offline) => offline.take(from, rows),
        }
    }
}

impl StoppedStore {
    fn open(loaded: Loaded, why: &str) -> Result<Self, CliError> {
        let dir = &loaded.settings.gateway.state_dir;
        say(&format!("no daemon answers: the redemptions go into {}", dir.display()));
        let (store, report) = Store::open(dir).map_err(|error| unopened(&error, why))?;
        // At once: an import that is killed leaves files that the daemon can open.
        handed_over(dir)?;
        tell_opening(&report);
        let days = loaded.settings.gateway.days();
        Ok(Self { store, loaded, days })
    }

    fn take(&mut self, from: &str, rows: Vec<Exported>) -> Result<ImportAnswer, CliError> {
        let providers = &self.loaded.settings.providers;
        let is_known = |lane: &String| providers.iter().any(|provider| provider.name == *lane);
        let not_configured =
            rows.iter().map(|row| row.lane.clone()).filter(|lane| !is_known(lane)).collect();
        let by = user_name(rustix::process::getuid().as_raw());
        let (clock, lane) = (Clock::system(), |_: &str| LaneNow::default());
        let (stamp, uptime, zone) = (clock.stamp(), clock.uptime(), Zone::local());
        let around = Surroundings {
            uptime,
            zone: &zone,
            days: &self.days,
            ..Surroundings::new(stamp, &self.loaded.settings.offline, &lane)
        };
        let import = Import { rows, from: from.to_owned(), by, language: Language::English };
        let arrived = self.store.perform(import, &around).map_err(|error| unopened(&error, ""))?;
        Ok(ImportAnswer { arrived, not_configured })
    }

    fn close(self) -> Result<(), CliError> {
        let dir = self.loaded.settings.gateway.state_dir;
        self.store.close().map_err(|error| unopened(&error, ""))?;
        handed_over(&dir)
    }
}

/// What the daemon logs of its own start: the next one finds nothing of it any more.
fn tell_opening(report: &OpenReport) {
    if let Some(salvage) = &report.salvage {
        say(&salvage.to_string());
    }
    if let Some(marker) = &report.missing {
        say(&format!(
            "there is no database beside what a redeemd had left here: it begins with an empty \
             one; find the database or a copy, or remove {}",
            marker.display()
        ));
    }
    if let Some(why) = report.copied {
        say(&format!(
            "the database is a copy or was restored ({why}): every pending redemption is treated \
             as uncertain"
        ));
    }
    if report.found == Found::Unclean {
        let uncertain = count(report.uncertain, Noun::Redemption, Language::English);
        say(&format!("the last stop was not in order; uncertain since: {uncertain}"));
    }
    if let Some(migrated) = &report.migrated {
        say(&migrated.to_string());
    }
}

fn handed_over(dir: &Path) -> Result<(), CliError> {
    hand_over(dir).map_err(|error| CliError::Internal(format!("{}: {error}", dir.display())))
}

impl Work {
    async fn read(
        &mut self,
        file: Box<dyn BufRead + Send>,
        target: &mut RowTarget,
        stops: &mut Stops,
    ) -> Result<(), CliError> {
        let mut lines = lines(file)?;
        for number in 1.. {
            let line = tokio::select! {
                biased;
                () = stops.come() => return Err(CliError::Failed(INTERRUPTED.to_owned())),
                line = lines.recv() => line,
            };
            let Some(line) = line else { break };
            self.take_line(number, &line.map_err(|error| error.about(self.file.display()))?)?;
            if self.is_foreign() && self.refused >= FOREIGN_LINES {
                break;
            }
            if self.batch.len() >= IMPORT_ROWS_MAX || self.batch_bytes >= BATCH_BYTES {
                self.send(target).await?;
            }
        }
        self.send(target).await
    }

    fn take_line(&mut self, number: u64, line: &str) -> Result<(), CliError> {
        let line_read = unseal(line);
        if line_read.is_ok() {
            self.begin();
        }
        match line_read {
            Ok(ExportLine::Row(row)) => {
                self.rows += 1;
                self.batch_bytes += line.len();
                self.batch.push((number, *row));
            }
            Ok(ExportLine::Header(header)) if header.format > FORMAT => {
                let why = format!(
                    "the file has format {}, this redeemd reads {FORMAT}: install a newer one",
                    header.format
                );
                return Err(CliError::Failed(why));
            }
            Ok(ExportLine::Header(header)) => self.from = header.gateway,
            Ok(ExportLine::End(end)) => self.ended = Some(end.end),
            Err(_) if line.trim().is_empty() => {}
            Err(fault) => self.refuse(number, &fault.to_string()),
        }
        Ok(())
    }

    async fn send(&mut self, target: &mut RowTarget) -> Result<(), CliError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        let (numbers, rows): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        let answer = target.take(&self.from, rows).await?;
        self.not_configured.extend(answer.not_configured);
        for ((number, id), arrived) in numbers.into_iter().zip(ids).zip(answer.arrived) {
            self.count(number, &id, arrived);
        }
        Ok(())
    }

    fn count(&mut self, number: u64, id: &str, arrived: Arrived) {
        match arrived {
            Arrived::Pending { .. } => self.imported += 1,
            Arrived::AlreadyThere { .. } => self.already_there += 1,
            Arrived::Parked { why } => {
                self.parked += 1;
                if self.parked <= NAMED_MAX as u64 {
                    say(&format!("{id} is parked: {why}"));
                }
            }
            Arrived::Refused { why } => self.refuse(number, &why),
        }
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.refused += 1;
        if self.refused_lines.len() < NAMED_MAX {
            self.refused_lines.push(number);
            let told = format!("{}: line {number} is refused: {why}", self.file.display());
            if self.is_export { say(&told) } else { self.unsaid.push(told) }
        }
    }

    /// A line of an export: what was refused before it is damage.
    fn begin(&mut self) {
        self.is_export = true;
        for told in std::mem::take(&mut self.unsaid) {
            say(&told);
        }
    }

    /// Not one line of an export was among those that were read.
    fn is_foreign(&self) -> bool {
        !self.is_export && self.refused > 0
    }

    /// Nothing was refused and nothing is missing.
    fn is_whole(&self) -> bool {
        self.refused == 0 && self.ended == Some(self.rows)
    }

    fn tell_gaps(&self) {
        let (file, taken) = (self.file.display(), self.rows);
        match self.ended {
            None => say(&format!(
                "{file} has no last line: it was cut off, and redemptions may be missing"
            )),
            Some(rows) if rows != taken => {
                let had = count(rows, Noun::Redemption, Language::English);
                say(&format!("{file} had {had}, of which {taken} can be read"));
            }
            Some(_) => {}
        }
        if self.refused > self.refused_lines.len() as u64 {
            say(&format!("{} lines are refused in all", self.refused));
        }
    }

    /// `read`: to the end of the file.
    fn tell(&self, read: bool, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
        for lane in &self.not_configured {
            say(&format!(
                "no provider here is called {lane:?}: its redemptions wait until the settings name \
                 it"
            ));
        }
        if read {
            self.tell_gaps();
        }
        let Self { imported, already_there, parked, refused, .. } = self;
        if json {
            let object = json!({ "imported": imported, "already_there": already_there,
                "parked": parked,
                "refused": refused, "refused_lines": self.refused_lines,
                "not_configured": self.not_configured });
            writeln!(out, "{object}")?;
        } else {
            writeln!(
                out,
                "{imported} imported, {already_there} already there, {parked} parked, {refused} \
                 refused"
            )?;
        }
        Ok(())
    }
}

/// The file's lines, read beside what is done with them: one that does not come keeps nobody who
/// stops the import waiting.
fn lines(
    mut file: Box<dyn BufRead + Send>,
) -> Result<mpsc::Receiver<Result<String, CliError>>, CliError> {
    let (sender, lines) = mpsc::channel(LINES_AHEAD);
    let read = move || {
        while let Some(line) = next_line(&mut file).transpose() {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().name("lines".to_owned()).spawn(read)?;
    Ok(lines)
}

/// The next line without its end; what is not text or too long comes as a line that no checksum
/// fits.
fn next_line(file: &mut impl BufRead) -> Result<Option<String>, CliError> {
    let mut bytes = Vec::new();
    let read = file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    if !bytes.ends_with(b"\n") && read as u64 == LINE_BYTES_MAX {
        file.skip_until(b'\n')?;
        bytes = b"?".to_vec();
    }
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Some(String::from_utf8(bytes).unwrap_or_else(|_| "?".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_one_refused_line_and_the_next_is_read() {
        let mut text = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap() + 7];
        text.extend_from_slice(b"\n\xff\xfe\nlast");
        let mut file = text.as_slice();
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut file).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["?", "?", "last"]);
    }

    #[test]
    fn a_newer_format_is_refused_whole_and_a_file_without_its_last_line_is_not_whole() {
        let mut work = Work::default();
        assert!(work.take_line(1, "garbage").is_ok());
        assert_eq!((work.refused, &work.refused_lines[..], work.is_whole()), (1, &[1][..], false));
        let mut header = crate::store::Header::new("a", String::new());
        header.format = FORMAT + 1;
        let line = crate::store::seal(&header).unwrap();
        assert!(matches!(work.take_line(2, &line), Err(CliError::Failed(_))));
    }
}
