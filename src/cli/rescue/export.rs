//! `export`: every open redemption into a file, asked of the daemon, or read where there is none.

use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{NOT_ASKED, hand_over, place, unopened};
use crate::cli::args::ExportArgs;
use crate::cli::ask::Daemon;
use crate::cli::exit::{CliError, say};
use crate::cli::interrupted::unless_interrupted;
use crate::cli::new_file::NewFile;
use crate::clock::{Clock, rfc3339};
use crate::message::{Language, Noun, count};
use crate::redemption::{Id, Seq, State};
use crate::store::{EndLine, Header, Page, Remains, seal};

/// Instead of a file that is written.
pub(in crate::cli) const STANDARD_OUTPUT: &str = "-";

/// How many rows a page has.
const PAGE_ROWS: usize = crate::admin::EXPORT_ROWS_MAX;

/// Where the rows come from.
enum RowSource {
    Daemon(Daemon),
    Remains(Box<Remains>),
}

/// What the daemon answers.
#[derive(Deserialize)]
struct ExportAnswer {
    gateway: String,
    page: Page,
}

/// What was written.
#[derive(Default)]
struct Written {
    pending: u64,
    parked: u64,
    unreadable: Vec<Seq>,
    /// How many are owed, and not written.
    owed: u64,
    /// The newest of them.
    owed_ids: Vec<Id>,
}

/// `redeemd export`
pub(in crate::cli) async fn export(
    config: Option<&Path>,
    args: &ExportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (source, gateway, first) = open(config, args).await?;
    if args.file == Path::new(STANDARD_OUTPUT) {
        let written = write(&mut *out, &source, &gateway, first).await;
        // Rows that nobody took are not safe: that it was a pipe is no excuse.
        let written = written
            .and_then(|written| Ok(out.flush().map(|()| written)?))
            .map_err(|error| error.about("standard output"))?;
        return warn(&written, &source, "what was written");
    }
    let mut file = NewFile::create(&args.file)?;
    let writing = write(file.writer(), &source, &gateway, first);
    let written = match unless_interrupted(writing).await {
        Ok(written) => written,
        Err(error) => {
            file.discard();
            return Err(error.about(args.file.display()));
        }
    };
    file.finish()?;
    tell(&written, &source, args, json, out)
}

/// The daemon if one answers, else what lies in its state directory.
async fn open(
    config: Option<&Path>,
    args: &ExportArgs,
) -> Result<(RowSource, String, Page), CliError> {
    if let Some(dir) = &args.state_dir {
        return remains(dir, String::new(), NOT_ASKED);
    }
    let daemon = Daemon::find(config)?;
    match ask(&daemon, Seq(0)).await {
        Ok(ExportAnswer { gateway, page }) => Ok((RowSource::Daemon(daemon), gateway, page)),
        Err(CliError::Unavailable(why) | CliError::Unanswered(why)) => {
            let (dir, gateway) = place(config).await?;
            remains(&dir, gateway, &why)
        }
        Err(error) => Err(error),
    }
}

async fn ask(daemon: &Daemon, after: Seq) -> Result<ExportAnswer, CliError> {
    let value = daemon.get(&format!("/api/v1/export?after={after}")).await?;
    serde_json::from_value(value)
        .map_err(|_| CliError::Internal("the daemon's answer cannot be read".to_owned()))
}

fn remains(dir: &Path, gateway: String, why: &str) -> Result<(RowSource, String, Page), CliError> {
    say(&format!("no daemon is asked: the redemptions are read from {}", dir.display()));
    let was_locked_before = dir.join("lock").exists();
    let remains = Remains::open(dir).map_err(|error| unopened(&error, why))?;
    if !was_locked_before {
        hand_over(dir).unwrap_or_else(|error| say(&format!("{}: {error}", dir.display())));
    }
    let first = remains.export(Seq(0), PAGE_ROWS).map_err(|error| unopened(&error, why))?;
    Ok((RowSource::Remains(Box::new(remains)), gateway, first))
}

async fn write(
    file: &mut dyn Write,
    source: &RowSource,
    gateway: &str,
    first: Page,
) -> Result<Written, CliError> {
    line(file, &Header::new(gateway, rfc3339(Clock::system().stamp().unix_ms)))?;
    let (owed, owed_ids) = (first.owed, first.owed_ids.clone());
    let (mut written, mut page) = (Written { owed, owed_ids, ..Written::default() }, first);
    loop {
        for row in &page.rows {
            line(file, row)?;
            *if row.state == State::Pending {
                &mut written.pending
            } else {
                &mut written.parked
            } += 1;
        }
        written.unreadable.append(&mut page.unreadable);
        let Some(next) = page.next else { break };
        page = match source {
            RowSource::Daemon(daemon) => ask(daemon, next).await?.page,
            RowSource::Remains(remains) => {
                // Whoever stops it is heard between two pages.
                tokio::task::yield_now().await;
                remains.export(next, PAGE_ROWS).map_err(|error| unopened(&error, ""))?
            }
        };
    }
    line(
        file,
        &EndLine { end: written.pending + written.parked, unreadable: written.unreadable.clone() },
    )?;
    Ok(written)
}

fn line(file: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = seal(value).map_err(|error| CliError::Internal(error.to_string()))?;
    Ok(writeln!(file, "{text}")?)
}

fn tell(
    written: &Written,
    source: &RowSource,
    args: &ExportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let Written { pending, parked, unreadable, owed, owed_ids } = written;
    let file = args.file.display();
    if json {
        let object = json!({ "file": file.to_string(), "exported": pending + parked,
            "pending": pending,
            "parked": parked, "unreadable": unreadable, "owed": owed,
            "owed_ids": owed_ids });
        writeln!(out, "{object}")?;
    } else {
        writeln!(
            out,
            "{} exported to {file}: {pending} pending, {parked} parked",
            count(pending + parked, Noun::Redemption, Language::English)
        )?;
    }
    warn(written, source, &file.to_string())
}

/// Says what to mind. Not everything was read: exit 1.
fn warn(written: &Written, source: &RowSource, file: &str) -> Result<(), CliError> {
    let unreadable = &written.unreadable;
    say(&format!(
        "{file} HOLDS WHOLE REWARD CODES: whoever reads it can spend them; delete it after the \
         import"
    ));
    if matches!(source, RowSource::Daemon(_)) {
        say("this gateway still delivers what was exported: stop it before the file is imported \
             elsewhere");
    }
    if written.owed > 0 {
        say(&not_exported(written.owed, &written.owed_ids));
    }
    let whole = unreadable.is_empty();
    if !whole {
        let numbers: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        say(&format!("not exported, because their rows are damaged: {}", numbers.join(", ")));
    }
    if whole && lost_nothing(source) { Ok(()) } else { Err(CliError::SaidAlready) }
}

/// What is owed, by name: `report` does not list what a person has handled.
fn not_exported(owed: u64, ids: &[Id]) -> String {
    let of_all = count(owed, Noun::Redemption, Language::English);
    let more = owed.saturating_sub(u64::try_from(ids.len()).unwrap_or(u64::MAX));
    let mut names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    format!(
        "not exported: {of_all} owed to customers, which no other gateway gives: {}; \
         `redeemd show ID` tells of each",
        names.join(", ")
    )
}

/// Says what was read of a damaged database; false when some of it is lost.
fn lost_nothing(source: &RowSource) -> bool {
    let RowSource::Remains(remains) = source else { return true };
    let Some((why, tally)) = remains.salvage() else { return true };
    say(&format!("{why}: its rows were read page by page, and nothing in it was changed"));
    match tally.lost {
        Some(0) => {}
        Some(lost) => {
            let lost = count(lost, Noun::Redemption, Language::English);
            say(&format!("{lost} could not be read, settled ones among them perhaps"));
        }
        None => say("whether redemptions were lost is not known, because the books were lost too"),
    }
    if tally.parked > 0 {
        say(&format!("exported as parked, because part of it was lost: {}", tally.parked));
    }
    tally.lost == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_named_as_far_as_it_is_known_by_name() {
        let ids = [1, 2].map(|seq| Id::new(Seq(seq), [0; 12]));
        let said = |owed| not_exported(owed, &ids);
        let names = format!("{}, {}", ids[0], ids[1]);
        let two = format!(
            "not exported: 2 redemptions owed to customers, which no other gateway \
            gives: {names}; "
        );
        assert!(said(2).starts_with(&two), "{}", said(2));
        assert!(said(5).contains(&format!("gives: {names}, 3 more; ")), "{}", said(5));
    }
}
