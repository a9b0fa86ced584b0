//! The database file and its log, page by page, without SQLite: for files that SQLite cannot read any more.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::StoreError;

/// The page size of every database that this crate makes.
pub(super) const PAGE_BYTES: usize = 4096;
/// A log's header and the header of each frame in it (sqlite.org/fileformat2.html, section 4).
const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;
/// A log whose checksums are little-endian, as it is written on little-endian machines; one more: big-endian.
const WAL_MAGIC: u32 = 0x377f_0682;

/// One page's bytes.
pub(super) type Page = Vec<u8>;

/// A big-endian number of the file format.
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// A big-endian number of the file format.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_be_bytes(two.try_into().ok()?)))
}

/// How far a frame of the log can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Part of a transaction that was committed.
    Stands,
    /// Of this round of the log, and not as it was written.
    Loose,
    /// Of an earlier round: its page is in the database since, or newer.
    Stale,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    page: u32,
    salts: (u32, u32),
    commits: bool,
    /// Its checksum continues the one that the frame before it states.
    follows: bool,
    standing: Standing,
}

/// The log as it lies on the disk.
#[derive(Debug, Default)]
struct Log {
    file: Option<File>,
    frames: Vec<Frame>,
    header_fits: bool,
}

/// A database and its log.
#[derive(Debug)]
pub(super) struct Image {
    file: Option<File>,
    file_pages: u32,
    log: Log,
    newest: HashMap<u32, usize>,
}

impl Image {
    /// Reads the log's frames and finds out which of them stand. A file that is not there has no pages.
    pub(super) fn open(database: &Path, log: &Path) -> Result<Self, StoreError> {
        let file = open_if_there(database)?;
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        let log = Log::read(log)?;
        let mut newest = HashMap::new();
        for (place, frame) in log.frames.iter().enumerate().filter(|(_, frame)| frame.standing == Standing::Stands) {
            newest.insert(frame.page, place);
        }
        let file_pages = u32::try_from(bytes.div_ceil(PAGE_BYTES as u64)).unwrap_or(u32::MAX);
        Ok(Self { file, file_pages, log, newest })
    }

    /// Every page of which there is a version that can be told: the file's own, and those that the log holds behind its
    /// end, however far, since a file may have been cut.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let mut behind: Vec<u32> = self.newest.keys().copied().filter(|page| *page > self.file_pages).collect();
        behind.sort_unstable();
        (1..=self.file_pages).chain(behind).collect()
    }

    /// How many [`Self::numbers`] there are: nothing that leads from page to page leads further.
    pub(super) fn count(&self) -> usize {
        self.numbers().len()
    }

    /// Pages whose newest version in the log may be older than the one in the file: the log's header is lost, and with
    /// it the certainty of which round of the log is the newest.
    pub(super) fn doubtful(&self) -> Vec<u32> {
        if self.log.header_fits { Vec::new() } else { self.newest.keys().copied().collect() }
    }

    /// Whether the newest version of some page may be among those that are not as they were written.
    pub(super) fn is_broken(&self) -> bool {
        !self.log.header_fits || self.log.frames.iter().any(|frame| frame.standing == Standing::Loose)
    }

    /// Whether the page's newest version is in the log.
    pub(super) fn is_logged(&self, page: u32) -> bool {
        self.newest.contains_key(&page)
    }

    /// Why the log is damaged, if it is: SQLite itself takes the first bad checksum for the log's end and silently drops
    /// what was committed behind it.
    pub(super) fn log_fault(&self) -> Option<&'static str> {
        if self.log.frames.iter().any(|frame| frame.standing == Standing::Loose) {
            return Some("its log has a damaged place, and committed transactions after it");
        }
        // A power cut can tear the header only while the log begins anew, when all of it has been moved to the database.
        let is_moved = || self.newest.keys().all(|page| self.page(*page) == self.filed(*page));
        let is_torn = self.log.header_fits || is_moved();
        (!is_torn).then_some("the header of its log does not fit its checksum")
    }

    /// How long the log is, in bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
    }

    /// The page as the last committed transaction left it.
    pub(super) fn page(&self, number: u32) -> Option<Page> {
        self.newest.get(&number).map_or_else(|| self.filed(number), |place| self.log.page(*place))
    }

    /// Every other version of the page, newest first.
    pub(super) fn older(&self, number: u32) -> Vec<Page> {
        let newest = self.newest.get(&number).copied();
        let of_page = |standing: Standing| {
            let frames = self.log.frames.iter().enumerate().rev();
            frames.filter(move |(place, frame)| {
                frame.page == number && frame.standing == standing && Some(*place) != newest
            })
        };
        let mut versions: Vec<Page> = of_page(Standing::Stands).filter_map(|(place, _)| self.log.page(place)).collect();
        versions.extend(newest.and_then(|_| self.filed(number)));
        versions.extend(of_page(Standing::Stale).filter_map(|(place, _)| self.log.page(place)));
        versions
    }

    /// Pages of the log that are not as they were written: whatever in them proves itself is as new as anything.
    pub(super) fn loose(&self) -> impl Iterator<Item = Page> + '_ {
        let frames = self.log.frames.iter().enumerate();
        frames.filter(|(_, frame)| frame.standing == Standing::Loose).filter_map(|(place, _)| self.log.page(place))
    }

    /// The page as the file has it; what is missing of the last one is zero.
    fn filed(&self, number: u32) -> Option<Page> {
        let offset = u64::from(number.checked_sub(1)?).checked_mul(PAGE_BYTES as u64)?;
        let mut page = vec![0; PAGE_BYTES];
        let read = read_some_at(self.file.as_ref()?, &mut page, offset);
        (read > 0).then_some(page)
    }
}

impl Log {
    fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(file) = open_if_there(path)? else { return Ok(Self::default()) };
        let mut header = [0; WAL_HEADER_BYTES];
        if read_some_at(&file, &mut header, 0) < WAL_HEADER_BYTES {
            return Ok(Self::default());
        }
        let little = be32(&header, 0) != Some(WAL_MAGIC | 1);
        let stated = (be32(&header, 24).unwrap_or(0), be32(&header, 28).unwrap_or(0));
        let sum = checksum((0, 0), header.get(..24).unwrap_or_default(), little);
        let header_fits = sum == stated && matches!(be32(&header, 0), Some(magic) if magic | 1 == WAL_MAGIC | 1);
        let mut frames = read_frames(&file, stated, little);
        let salts = if header_fits { salts_at(&header, 16) } else { newest_salts(&frames) };
        judge(&mut frames, salts, header_fits);
        Ok(Self { file: Some(file), frames, header_fits })
    }

    fn page(&self, place: usize) -> Option<Page> {
        let mut page = vec![0; PAGE_BYTES];
        let offset = frame_offset(place) + FRAME_HEADER_BYTES as u64;
        let read = read_some_at(self.file.as_ref()?, &mut page, offset);
        (read == PAGE_BYTES).then_some(page)
    }
}

/// The salts of the newest round, when the header cannot say them: it lies at the beginning, and the first of its salts
/// is by one more than that of the round before. A first frame that is neither was torn with the header.
fn newest_salts(frames: &[Frame]) -> Option<(u32, u32)> {
    let (first, second) = (frames.first()?.salts, frames.get(1).map(|frame| frame.salts));
    match second {
        Some(second) if first != second && first.0 != second.0.wrapping_add(1) => Some(second),
        Some(_) | None => Some(first),
    }
}

fn frame_offset(place: usize) -> u64 {
    WAL_HEADER_BYTES as u64 + place as u64 * FRAME_BYTES as u64
}

fn salts_at(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    Some((be32(bytes, at)?, be32(bytes, at + 4)?))
}

/// Every whole frame of the log that was ever written; `before` is the checksum that the first one continues.
fn read_frames(file: &File, mut before: (u32, u32), little: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut bytes = vec![0; FRAME_BYTES];
    while read_some_at(file, &mut bytes, frame_offset(frames.len())) == FRAME_BYTES {
        let Some((page, size)) = be32(&bytes, 0).zip(be32(&bytes, 4)) else { break };
        let Some((salts, stated)) = salts_at(&bytes, 8).zip(salts_at(&bytes, 16)) else { break };
        if page == 0 && salts == (0, 0) && stated == (0, 0) {
            break;
        }
        let sum = checksum(before, bytes.get(..8).unwrap_or_default(), little);
        let sum = checksum(sum, bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default(), little);
        frames.push(Frame { page, salts, commits: size != 0, follows: sum == stated, standing: Standing::Stale });
        before = stated;
    }
    frames
}

/// Which frames stand: those up to the last commit of the unbroken chain; and if behind a break there is a transaction
/// that began after another had been committed, then the break is no torn end (each commit is synced before the next
/// begins) but damage, and what was committed behind it stands too.
fn judge(frames: &mut [Frame], salts: Option<(u32, u32)>, header_fits: bool) {
    let Some(salts) = salts else { return };
    // Without the header nothing says what the first frame continues; and it may have been torn with it.
    let begin = if header_fits { 0 } else { of_round_begin(frames, salts) };
    let first_fits = |place: usize| place == begin && !header_fits;
    let of_round: Vec<bool> = frames.iter().map(|frame| frame.salts == salts).collect();
    let fits: Vec<bool> =
        frames.iter().zip(&of_round).enumerate().map(|(i, (f, mine))| *mine && (f.follows || first_fits(i))).collect();
    let chain = begin + fits.iter().skip(begin).take_while(|fits| **fits).count();
    let committed = |upto: usize| frames.iter().take(upto).rposition(|frame| frame.commits).map_or(0, |at| at + 1);
    let mut end = committed(chain);
    let mut last_commit_behind = None;
    let mut is_damage = false;
    for (place, frame) in frames.iter().enumerate().skip(chain) {
        match (fits.get(place), frame.commits) {
            (Some(true), true) => last_commit_behind = Some(place),
            (Some(true), false) => is_damage |= last_commit_behind.is_some(),
            _ if last_commit_behind.is_some() && !is_damage => last_commit_behind = None,
            _ => {}
        }
    }
    if let (true, Some(last)) = (is_damage, last_commit_behind) {
        end = last + 1;
    }
    for (place, frame) in frames.iter_mut().enumerate().take(end).skip(begin) {
        let mine = of_round.get(place).copied().unwrap_or(false);
        let fits = fits.get(place).copied().unwrap_or(false);
        frame.standing = if mine && fits { Standing::Stands } else { Standing::Loose };
    }
}

fn of_round_begin(frames: &[Frame], salts: (u32, u32)) -> usize {
    usize::from(frames.first().is_some_and(|frame| frame.salts != salts))
}

/// The log's running checksum over whole pairs of 32-bit words.
fn checksum(mut sum: (u32, u32), bytes: &[u8], little: bool) -> (u32, u32) {
    let (pairs, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in pairs {
        let (first, second) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let word = |bytes| if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        sum.0 = sum.0.wrapping_add(word(first)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(second)).wrapping_add(sum.0);
    }
    sum
}

fn open_if_there(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::File { path: path.to_owned(), error }),
    }
}

/// As much as can be read; a place that the disk does not give back counts as missing.
fn read_some_at(file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) | Err(_) => break,
            Ok(more) => read += more,
        }
    }
    read
}
