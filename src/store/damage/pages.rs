//! The database file and its log, page by page, without SQLite: for files that SQLite cannot read
//! any more.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::StoreError;
use crate::store::connection::PAGE_BYTES;

/// A log's header and the header of each frame in it (sqlite.org/fileformat2.html, section 4).
const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + PAGE_BYTES;
/// The smallest piece that a disk writes as a whole.
const SECTOR_BYTES: u64 = 512;
/// A log whose checksums are little-endian, as it is written on little-endian machines; one more:
/// big-endian.
const WAL_MAGIC: u32 = 0x377f_0682;

/// In the place of the header of a log of which all is in the database. SQLite takes such a log for
/// empty and keeps its space.
pub(super) const EMPTIED: [u8; WAL_HEADER_BYTES] = *b"redeemd: all of it is elsewhere.";

/// One page's bytes.
pub(super) type PageBytes = Vec<u8>;

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

/// What the frames of one round of the log have in common.
type Salts = (u32, u32);

/// How far a frame of the log can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameStanding {
    /// Part of a transaction that was committed.
    Stands,
    /// Of this round of the log, and not as it was written.
    Loose,
    /// Of an earlier round: its page is in the database since, or newer.
    Stale,
}

#[derive(Clone, Copy, Debug)]
struct LogFrame {
    page: u32,
    salts: Salts,
    commits: bool,
    /// Its checksum continues the one that the frame before it states.
    follows: bool,
    standing: FrameStanding,
}

/// The log as it lies on the disk.
#[derive(Debug, Default)]
struct Log {
    file: Option<File>,
    frames: Vec<LogFrame>,
    /// The header is as it was written, and no older than the frames.
    header_fits: bool,
    /// All of it is in the database.
    is_emptied: bool,
    /// Where the newest round that can be told begins.
    begin: usize,
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
    /// Reads the log's frames and finds out which of them stand. A file that is not there has no
    /// pages.
    pub(super) fn open(database: &Path, log: &Path) -> Result<Self, StoreError> {
        let file = open_if_there(database)?;
        let bytes =
            file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
        let log = Log::read(log)?;
        let mut newest = HashMap::new();
        for (place, frame) in log
            .frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.standing == FrameStanding::Stands)
        {
            newest.insert(frame.page, place);
        }
        let file_pages = u32::try_from(bytes.div_ceil(PAGE_BYTES as u64)).unwrap_or(u32::MAX);
        Ok(Self { file, file_pages, log, newest })
    }

    /// Every page of which there is a version that can be told: the file's own, and those that the
    /// log holds behind its end, however far, since a file may have been cut.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let mut behind: Vec<u32> =
            self.newest.keys().copied().filter(|page| *page > self.file_pages).collect();
        behind.sort_unstable();
        (1..=self.file_pages).chain(behind).collect()
    }

    /// How many [`Self::numbers`] there are: nothing that leads from page to page leads further.
    pub(super) fn count(&self) -> usize {
        self.numbers().len()
    }

    /// Pages whose newest version in the log may be older than the one in the file: the log's
    /// header is lost, and with it the certainty of which round of the log is the newest.
    pub(super) fn doubtful(&self) -> Vec<u32> {
        if self.log.header_fits { Vec::new() } else { self.newest.keys().copied().collect() }
    }

    /// Whether the newest version of some page may be among those that are not as they were
    /// written.
    pub(super) fn is_broken(&self) -> bool {
        !self.log.header_fits
            || self.log.frames.iter().any(|frame| frame.standing == FrameStanding::Loose)
    }

    /// Whether the page's newest version is in the log.
    pub(super) fn is_logged(&self, page: u32) -> bool {
        self.newest.contains_key(&page)
    }

    /// Why the log is damaged, if it is: SQLite itself takes the first bad checksum for the log's
    /// end and silently drops what was committed behind it.
    pub(super) fn log_fault(&self) -> Option<&'static str> {
        // A power cut can tear the header, and the first frames with it, only while the log begins
        // anew, when all of it has been moved.
        let mut frames = self.log.frames.iter().skip(self.log.begin);
        if frames.any(|frame| frame.standing == FrameStanding::Loose) {
            return Some("its log has a damaged place, and committed transactions after it");
        }
        let is_torn = self.log.header_fits || self.is_moved();
        (!is_torn).then_some("the header of its log is damaged")
    }

    /// Whether the file has all that the log holds.
    pub(super) fn is_moved(&self) -> bool {
        self.newest.keys().all(|page| self.page(*page) == self.filed(*page))
    }

    /// How long the log is, in bytes; one in which nothing can be found is as good as none.
    pub(super) fn log_bytes(&self) -> u64 {
        let holds = |log: &&Log| {
            log.is_emptied
                || !self.newest.is_empty()
                || (log.header_fits && log.frames.iter().any(|frame| frame.page != 0))
        };
        let file = Some(&self.log).filter(holds).and_then(|log| log.file.as_ref());
        file.and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len())
    }

    /// The page as the last committed transaction left it.
    pub(super) fn page(&self, number: u32) -> Option<PageBytes> {
        self.newest.get(&number).map_or_else(|| self.filed(number), |place| self.log.page(*place))
    }

    /// Every other version of the page, newest first.
    pub(super) fn older(&self, number: u32) -> Vec<PageBytes> {
        let newest = self.newest.get(&number).copied();
        let of_page = |standing: FrameStanding| {
            let frames = self.log.frames.iter().enumerate().rev();
            frames.filter(move |(place, frame)| {
                frame.page == number && frame.standing == standing && Some(*place) != newest
            })
        };
        let mut versions: Vec<PageBytes> =
            of_page(FrameStanding::Stands).filter_map(|(place, _)| self.log.page(place)).collect();
        versions.extend(newest.and_then(|_| self.filed(number)));
        versions
            .extend(of_page(FrameStanding::Stale).filter_map(|(place, _)| self.log.page(place)));
        versions
    }

    /// Pages of the log that are not as they were written: whatever in them proves itself is as new
    /// as anything.
    pub(super) fn loose(&self) -> impl Iterator<Item = PageBytes> + '_ {
        let frames = self.log.frames.iter().enumerate();
        frames
            .filter(|(_, frame)| frame.standing == FrameStanding::Loose)
            .filter_map(|(place, _)| self.log.page(place))
    }

    /// The page as the file has it; what is missing of the last one is zero.
    fn filed(&self, number: u32) -> Option<PageBytes> {
        let offset = u64::from(number.checked_sub(1)?).checked_mul(PAGE_BYTES as u64)?;
        let mut page = vec![0; PAGE_BYTES];
        let read = read_some_at(self.file.as_ref()?, &mut page, offset);
        (read > 0).then_some(page)
    }
}

impl Log {
    fn read(path: &Path) -> Result<Self, StoreError> {
        let Some(file) = open_if_there(path)? else { return Ok(Self::default()) };
        // What is missing of a header is zero, and fits nothing.
        let mut header = [0; WAL_HEADER_BYTES];
        read_some_at(&file, &mut header, 0);
        let magic = be32(&header, 0).filter(|magic| magic | 1 == WAL_MAGIC | 1);
        let stated = (be32(&header, 24).unwrap_or(0), be32(&header, 28).unwrap_or(0));
        let little = magic == Some(WAL_MAGIC);
        let sum = checksum((0, 0), header.get(..24).unwrap_or_default(), little);
        let header_fits = magic.is_some() && sum == stated;
        // SQLite writes a log in the order of its machine.
        let little = if header_fits { little } else { cfg!(target_endian = "little") };
        let mut frames = read_frames(&file, stated, little);
        if header == EMPTIED {
            let (header_fits, is_emptied) = (true, true);
            return Ok(Self { file: Some(file), frames, header_fits, is_emptied, begin: 0 });
        }
        // A whole header with no frame of its round is that of a log that begins anew, unless the
        // round is the one before that of the frames.
        let found = first_round(&frames);
        let is_older = |salts: &Salts| found.is_some_and(|(_, of)| of.0 == salts.0.wrapping_add(1));
        let own = salts_at(&header, 16).filter(|salts| header_fits && !is_older(salts));
        let round = own.map(|salts| (0, salts)).or(found);
        if let Some(round) = round {
            judge(&mut frames, round, own.is_some());
        }
        let begin = round.map_or(0, |(begin, _)| begin);
        let header_fits = own.is_some();
        Ok(Self { file: Some(file), frames, header_fits, is_emptied: false, begin })
    }

    fn page(&self, place: usize) -> Option<PageBytes> {
        let mut page = vec![0; PAGE_BYTES];
        let offset = frame_offset(place) + FRAME_HEADER_BYTES as u64;
        let read = read_some_at(self.file.as_ref()?, &mut page, offset);
        (read == PAGE_BYTES).then_some(page)
    }
}

/// Where the newest round begins, and its salts, when the header cannot say them. Each round is
/// written from the log's beginning on, so the first of which two frames prove each other is the
/// newest. But one frame before it may be all that is left of the next round, whose first salt is
/// by one more. What lies before them was overwritten.
fn first_round(frames: &[LogFrame]) -> Option<(usize, Salts)> {
    let proven = frames.iter().zip(frames.iter().skip(1)).find_map(|(frame, next)| {
        (next.follows && frame.salts == next.salts).then_some(frame.salts)
    });
    let is_of_it = |frame: &LogFrame| proven.map_or(frame.page != 0, |salts| frame.salts == salts);
    let first = frames.iter().position(is_of_it)?;
    let at = |place: usize| frames.get(place).map(|frame| (place, frame.salts));
    let (_, salts) = at(first)?;
    let next = first.checked_sub(1).and_then(at).filter(|(_, of)| of.0 == salts.0.wrapping_add(1));
    next.or_else(|| at(first))
}

fn frame_offset(place: usize) -> u64 {
    WAL_HEADER_BYTES as u64 + place as u64 * FRAME_BYTES as u64
}

fn salts_at(bytes: &[u8], at: usize) -> Option<Salts> {
    Some((be32(bytes, at)?, be32(bytes, at + 4)?))
}

/// Every whole frame of the log that was ever written; `before` is the checksum that the first one
/// continues. One whose own checksum is the damage is followed all the same.
fn read_frames(file: &File, mut before: (u32, u32), little: bool) -> Vec<LogFrame> {
    let (mut frames, mut found_before) = (Vec::new(), before);
    let mut bytes = vec![0; FRAME_BYTES];
    while read_some_at(file, &mut bytes, frame_offset(frames.len())) == FRAME_BYTES {
        let Some((page, size)) = be32(&bytes, 0).zip(be32(&bytes, 4)) else { break };
        let Some((salts, stated)) = salts_at(&bytes, 8).zip(salts_at(&bytes, 16)) else { break };
        let (head, content) = (
            bytes.get(..8).unwrap_or_default(),
            bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default(),
        );
        let after = |before| checksum(checksum(before, head, little), content, little);
        let found = after(before);
        let fits = found == stated || (before != found_before && after(found_before) == stated);
        frames.push(LogFrame {
            page,
            salts,
            commits: size != 0,
            // There is no page zero, and zeros have the checksum zero.
            follows: fits && page != 0,
            standing: FrameStanding::Stale,
        });
        (before, found_before) = (stated, found);
    }
    frames
}

/// Which frames stand: those up to the last commit of the unbroken chain, and what was committed
/// behind a break of it that is damage.
fn judge(frames: &mut [LogFrame], (begin, salts): (usize, Salts), header_fits: bool) {
    // Without the header nothing says what the first frame continues.
    let first_fits = |place: usize| place == begin && !header_fits;
    let fits = |(place, frame): (usize, &LogFrame)| {
        frame.salts == salts && (frame.follows || first_fits(place))
    };
    let fits: Vec<bool> = frames.iter().enumerate().map(fits).collect();
    // A first transaction that a power cut tore with the header may have its end alone. What was
    // torn with it is one frame, or what is left must prove that it had been committed.
    let chain = match begin {
        0 | 1 => begin + fits.iter().skip(begin).take_while(|fits| **fits).count(),
        _ => 0,
    };
    let committed = frames.iter().take(chain).rposition(|frame| frame.commits);
    let last = last_behind_damage(frames, salts, &fits, chain).or(committed);
    let end = last.map_or(0, |last| last + 1);
    for (frame, fits) in frames.iter_mut().zip(fits).take(end) {
        frame.standing = if fits { FrameStanding::Stands } else { FrameStanding::Loose };
    }
}

/// The last commit behind the place where the chain breaks, if the break is damage and no torn end.
/// Each commit is synced before the next transaction begins: where one begins behind a commit, that
/// commit and all before it had reached the disk. But SQLite writes the last frame of a commit a
/// second time to fill a sector, and syncs it no further than that sector: such a copy alone tells
/// nothing.
fn last_behind_damage(
    frames: &[LogFrame],
    salts: Salts,
    fits: &[bool],
    chain: usize,
) -> Option<usize> {
    let (mut last, mut is_damage) = (None, false);
    for ((place, frame), fits) in frames.iter().enumerate().zip(fits).skip(chain) {
        is_damage |= *fits && !frame.commits && last.is_some();
        if frame.commits
            && (*fits || (frame.salts == salts && is_one_piece(place) && !is_copy(frames, place)))
        {
            last = Some(place);
        } else if !fits && !is_damage {
            last = None;
        }
    }
    last.filter(|_| is_damage)
}

/// Whether a frame's commit mark and its salts lie in one sector: a torn write leaves both or
/// neither, so that a mark beside this round's salts is this round's, whatever became of the page
/// behind them.
fn is_one_piece(place: usize) -> bool {
    let sector = |at: u64| (frame_offset(place) + at) / SECTOR_BYTES;
    sector(4) == sector(15)
}

fn is_copy(frames: &[LogFrame], place: usize) -> bool {
    let before =
        place.checked_sub(1).and_then(|before| frames.get(before)).filter(|before| before.commits);
    before
        .zip(frames.get(place))
        .is_some_and(|(before, frame)| (before.page, before.salts) == (frame.page, frame.salts))
}

/// The log's running checksum over whole pairs of 32-bit words.
fn checksum(sum: (u32, u32), bytes: &[u8], little: bool) -> (u32, u32) {
    // A start reads the whole log: the order of the bytes is asked once, not for each word.
    if little {
        sum_up(sum, bytes, u32::from_le_bytes)
    } else {
        sum_up(sum, bytes, u32::from_be_bytes)
    }
}

fn sum_up(sum: (u32, u32), bytes: &[u8], word: impl Fn([u8; 4]) -> u32) -> (u32, u32) {
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().fold(sum, |(even, odd), [first, second]| {
        let even = even.wrapping_add(word(*first)).wrapping_add(odd);
        (even, odd.wrapping_add(word(*second)).wrapping_add(even))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: (u32, u32) = (7, 0x1234);
    const ROUND_BEFORE: (u32, u32) = (6, 0x9999);

    /// A log as SQLite writes it.
    struct Written {
        bytes: Vec<u8>,
        /// What the next frame of the round continues.
        last: (Salts, (u32, u32)),
        little: bool,
    }

    impl Written {
        fn new(salts: (u32, u32), little: bool) -> Self {
            let magic = if little { WAL_MAGIC } else { WAL_MAGIC | 1 };
            let words = [magic, 3_007_000, u32::try_from(PAGE_BYTES).unwrap(), 0, salts.0, salts.1];
            let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
            let sum = checksum((0, 0), &bytes, little);
            bytes.extend([sum.0, sum.1].into_iter().flat_map(u32::to_be_bytes));
            Self { bytes, last: (salts, sum), little }
        }

        /// One more frame: a page that is full of `fill`.
        fn frame(mut self, salts: (u32, u32), page: u32, fill: u8, commits: bool) -> Self {
            let head: Vec<u8> =
                [page, u32::from(commits) * 9].into_iter().flat_map(u32::to_be_bytes).collect();
            let content = [fill; PAGE_BYTES];
            let before = if salts == self.last.0 { self.last.1 } else { (1, 1) };
            let sum = checksum(checksum(before, &head, self.little), &content, self.little);
            self.bytes.extend(head);
            self.bytes
                .extend([salts.0, salts.1, sum.0, sum.1].into_iter().flat_map(u32::to_be_bytes));
            self.bytes.extend(content);
            self.last = (salts, sum);
            self
        }

        fn one(self, page: u32, fill: u8) -> Self {
            self.frame(ROUND, page, fill, true)
        }

        fn part(self, page: u32, fill: u8) -> Self {
            self.frame(ROUND, page, fill, false)
        }

        fn earlier(self, page: u32, fill: u8) -> Self {
            self.frame(ROUND_BEFORE, page, fill, true)
        }

        /// A byte of a frame is not as it was written.
        fn flip(mut self, place: usize, at: usize) -> Self {
            self.bytes[WAL_HEADER_BYTES + place * FRAME_BYTES + at] ^= 0x40;
            self
        }

        fn flip_header(mut self, at: usize) -> Self {
            self.bytes[at] ^= 0x40;
            self
        }

        /// The bytes from `from` up to `to` are no longer those that were written.
        fn overwrite(mut self, (from, to): (usize, usize), with: &[u8]) -> Self {
            let bytes = self.bytes[from..to].iter_mut();
            bytes.zip(with.iter().cycle()).for_each(|(byte, with)| *byte = *with);
            self
        }

        /// With a database of four pages that are full of 1, 2, 3 and 4.
        fn image(&self) -> Image {
            let dir = tempfile::tempdir().unwrap();
            let file: Vec<u8> = (1..=4).flat_map(|fill| [fill; PAGE_BYTES]).collect();
            std::fs::write(dir.path().join("db"), file).unwrap();
            std::fs::write(dir.path().join("log"), &self.bytes).unwrap();
            Image::open(&dir.path().join("db"), &dir.path().join("log")).unwrap()
        }
    }

    fn log() -> Written {
        Written::new(ROUND, true)
    }

    fn fill_of(page: Option<PageBytes>) -> Option<u8> {
        page.map(|page| {
            assert!(page.len() == PAGE_BYTES && page.iter().all(|byte| *byte == page[0]));
            page[0]
        })
    }

    fn now(image: &Image) -> Vec<Option<u8>> {
        (1..=6).map(|number| fill_of(image.page(number))).collect()
    }

    fn fills(pages: impl IntoIterator<Item = PageBytes>) -> Vec<u8> {
        pages.into_iter().filter_map(|page| fill_of(Some(page))).collect()
    }

    #[test]
    fn what_cannot_be_opened_is_no_missing_file() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, circle) = (dir.path().join("missing"), dir.path().join("circle"));
        std::os::unix::fs::symlink(&circle, &circle).unwrap();
        assert_eq!(Image::open(&missing, &missing).unwrap().numbers(), Vec::<u32>::new());
        assert!(Image::open(&circle, &missing).is_err() && Image::open(&missing, &circle).is_err());
    }

    #[test]
    fn what_was_committed_stands_and_what_was_begun_does_not() {
        for little in [true, false] {
            let image = Written::new(ROUND, little).part(2, 20).one(6, 60).part(3, 30).image();
            assert_eq!(now(&image), [Some(1), Some(20), Some(3), Some(4), None, Some(60)]);
            assert_eq!((image.numbers(), image.count()), (vec![1, 2, 3, 4, 6], 5));
            assert!(
                image.is_logged(2)
                    && image.is_logged(6)
                    && !image.is_logged(3)
                    && !image.is_logged(1)
            );
            assert!(
                image.log_fault().is_none() && !image.is_broken() && image.doubtful().is_empty()
            );
            assert_eq!(image.log_bytes(), 32 + 3 * (24 + 4096));
        }
    }

    #[test]
    fn there_is_no_page_zero_and_none_behind_the_end() {
        assert_eq!(log().one(4, 40).one(1, 10).image().numbers(), [1, 2, 3, 4], "each once");
        let image = log().image();
        assert_eq!((image.page(0), image.page(5), image.page(u32::MAX)), (None, None, None));
        assert_eq!(image.older(5), Vec::<PageBytes>::new());
    }

    #[test]
    fn a_commit_that_was_not_wholly_written_is_no_damage_and_the_ones_before_it_stand() {
        for at in [0, 4, 9, 13, 17, 21, 24, 4000] {
            let image = log().one(1, 10).part(2, 20).one(3, 30).flip(1, at).image();
            assert_eq!(now(&image)[..4], [Some(10), Some(2), Some(3), Some(4)], "byte {at}");
            assert!(image.log_fault().is_none() && !image.is_broken(), "byte {at}");
        }
    }

    #[test]
    fn a_damaged_place_before_a_later_commit_is_damage_and_what_is_behind_it_stands() {
        for at in [0, 4, 9, 13, 17, 21, 24, 4000] {
            let written = log().one(1, 10).one(2, 20).one(3, 30).part(4, 40).one(1, 11);
            let image = written.flip(1, at).image();
            assert!(
                image.log_fault().is_some_and(|fault| fault.contains("damaged place")),
                "byte {at}"
            );
            assert!(image.is_broken(), "byte {at}");
            assert_eq!(
                (fill_of(image.page(4)), fill_of(image.page(1))),
                (Some(40), Some(11)),
                "byte {at}"
            );
            let loose: Vec<u8> = image.loose().map(|page| page[1]).collect();
            assert_eq!((loose, fill_of(image.page(3))), (vec![20], Some(30)), "byte {at}");
        }
    }

    #[test]
    fn a_damaged_page_number_of_zero_ends_nothing() {
        let mut written = log().one(1, 10).one(2, 20).one(3, 30).part(4, 40).one(1, 11);
        written.bytes[WAL_HEADER_BYTES + FRAME_BYTES..][..4].fill(0);
        let image = written.image();
        assert!(image.log_fault().is_some());
        assert_eq!(now(&image)[..4], [Some(11), Some(2), Some(30), Some(40)]);
    }

    #[test]
    fn damage_is_told_as_soon_as_one_transaction_was_begun_behind_it() {
        let begun = log().one(1, 10).one(2, 20).part(3, 30);
        let image = begun.flip(1, 4000).image();
        assert!(image.log_fault().is_some());
        assert_eq!(now(&image)[..4], [Some(10), Some(2), Some(3), Some(4)]);
        assert_eq!(image.loose().map(|page| page[1]).collect::<Vec<_>>(), [20]);
        let committed = log().one(1, 10).part(4, 40).one(2, 20).part(3, 30).one(1, 11);
        for at in [16, 20, 24, 4000] {
            let image = Written { bytes: committed.bytes.clone(), ..log() }.flip(2, at).image();
            assert!(image.log_fault().is_some(), "byte {at}");
            assert_eq!(fill_of(image.page(1)), Some(11), "byte {at}");
        }
    }

    #[test]
    fn of_two_damaged_frames_neither_stands_whether_the_header_is_there_or_not() {
        let written = || log().one(1, 10).one(2, 20).part(3, 30).one(4, 40).part(3, 31).one(1, 11);
        for written in [written(), written().flip_header(20)] {
            let image = written.flip(1, 4000).flip(2, 4000).image();
            assert!(image.log_fault().is_some());
            assert_eq!(now(&image)[..4], [Some(11), Some(2), Some(31), Some(40)]);
            assert_eq!(image.loose().map(|page| page[1]).collect::<Vec<_>>(), [20, 30]);
        }
    }

    #[test]
    fn a_torn_end_behind_damage_hides_no_damage() {
        let written = log().one(1, 10).one(2, 20).part(3, 30).one(1, 11).part(4, 40).one(2, 21);
        let image = written.flip(1, 4000).flip(4, 4000).flip(5, 9).image();
        assert!(image.log_fault().is_some());
        assert_eq!(now(&image)[..4], [Some(11), Some(2), Some(30), Some(4)]);
    }

    #[test]
    fn what_an_aborted_transaction_left_in_the_log_is_none_that_began() {
        let aborted = (1..=5).fold(log().one(1, 10), |log, n| log.part(2, n));
        let torn = log().one(1, 10).part(3, 30).part(3, 31).one(4, 40);
        let mut bytes = aborted.bytes;
        let of = |place: usize| {
            WAL_HEADER_BYTES + place * FRAME_BYTES..WAL_HEADER_BYTES + (place + 1) * FRAME_BYTES
        };
        for place in [2, 3] {
            bytes[of(place)].copy_from_slice(&torn.bytes[of(place)]);
        }
        let image = Written { bytes, ..log() }.image();
        assert!(
            image.log_fault().is_none(),
            "its first frame was not written: it never was committed"
        );
        assert_eq!(now(&image)[..4], [Some(10), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn a_commit_mark_that_a_torn_write_may_have_left_of_an_earlier_round_tells_nothing() {
        // 41: there the mark ends one sector and the salts begin the next.
        for (place, is_damage) in [(40, true), (41, false), (42, true), (105, false)] {
            let written = (0..place)
                .fold(log(), |log, _| log.one(1, 10))
                .one(2, 20)
                .part(3, 30)
                .part(4, 40)
                .one(1, 11);
            let image = written.flip(place, 100).image();
            assert_eq!(image.log_fault().is_some(), is_damage, "frame {place}");
            assert_eq!(fill_of(image.page(1)), Some(if is_damage { 11 } else { 10 }));
        }
    }

    #[test]
    fn a_last_frame_that_was_written_twice_begins_no_transaction() {
        let image =
            log().one(1, 10).part(2, 20).part(3, 30).one(4, 40).one(4, 40).flip(1, 100).image();
        assert!(image.log_fault().is_none());
        assert_eq!(now(&image)[..4], [Some(10), Some(2), Some(3), Some(4)]);
        let image = log().one(1, 10).one(4, 40).one(4, 40).flip(1, 100).image();
        assert!(image.log_fault().is_none(), "it may be the one that was torn");
        let image = log()
            .one(1, 10)
            .part(2, 20)
            .one(4, 40)
            .one(4, 40)
            .part(3, 30)
            .part(1, 11)
            .flip(3, 4000)
            .image();
        assert!(image.log_fault().is_none(), "it is synced with the transaction that follows");
        assert_eq!(now(&image)[..4], [Some(10), Some(20), Some(3), Some(40)]);
    }

    #[test]
    fn a_transaction_that_is_damaged_in_its_end_alone_is_not_told_from_a_torn_one() {
        let image = log().one(1, 10).one(2, 20).flip(1, 100).image();
        assert!(image.log_fault().is_none());
        assert_eq!(now(&image)[..2], [Some(10), Some(2)]);
    }

    #[test]
    fn older_versions_come_newest_first_and_those_of_an_earlier_round_last() {
        let image =
            log().one(2, 20).one(2, 21).one(3, 30).one(2, 22).earlier(2, 99).earlier(5, 98).image();
        assert_eq!(now(&image), [Some(1), Some(22), Some(30), Some(4), None, None]);
        assert_eq!(fills(image.older(2)), [21, 20, 2, 99]);
        assert_eq!(fills(image.older(3)), [3]);
        assert_eq!(fills(image.older(1)), Vec::<u8>::new(), "its only version is the newest");
        assert_eq!(fills(image.older(5)), [98]);
        assert_eq!(image.loose().count(), 0);
    }

    #[test]
    fn without_its_header_the_round_of_the_first_frame_is_the_newest() {
        for at in [0, 12, 16, 20, 24, 28] {
            let image = log().one(2, 20).one(3, 30).earlier(2, 99).flip_header(at).image();
            assert_eq!(now(&image)[..4], [Some(1), Some(20), Some(30), Some(4)], "byte {at}");
            assert!(image.log_fault().is_some_and(|fault| fault.contains("header")), "byte {at}");
            let mut doubtful = image.doubtful();
            doubtful.sort_unstable();
            assert_eq!(doubtful, [2, 3]);
            assert!(image.is_broken());
        }
        // The round before lies behind one frame of the newest.
        let image = log().one(2, 20).earlier(3, 99).earlier(2, 98).flip_header(16).image();
        assert_eq!(now(&image)[..4], [Some(1), Some(20), Some(3), Some(4)]);
        // A first frame of no round at all was torn with the header: the second tells.
        let image = log().one(2, 20).one(3, 30).one(4, 40).flip_header(16).flip(0, 9).image();
        assert_eq!(now(&image)[..4], [Some(1), Some(2), Some(30), Some(40)]);
    }

    /// What a card that fails, or another program, may leave in the place of what was written.
    fn strange() -> [Vec<u8>; 4] {
        let noise = (0..9999u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        [vec![0], vec![0xff], b"Dear editor, ".to_vec(), noise]
    }

    fn frame_at(place: usize) -> usize {
        WAL_HEADER_BYTES + place * FRAME_BYTES
    }

    #[test]
    fn whatever_stands_over_a_logs_beginning_what_was_committed_behind_it_is_found() {
        for with in strange() {
            for head in [32, 512, 4096, 8192, frame_at(2)] {
                let written = log().part(1, 9).one(2, 20).one(2, 21).part(3, 30).one(4, 40);
                let image =
                    written.earlier(2, 98).earlier(2, 99).overwrite((0, head), &with).image();
                let case = (head, &with[..with.len().min(4)]);
                assert!(image.log_fault().is_some() && image.is_broken(), "{case:?}");
                assert_eq!(now(&image)[1..4], [Some(21), Some(30), Some(40)], "{case:?}");
            }
        }
    }

    #[test]
    fn a_beginning_that_may_have_been_torn_when_all_had_been_moved_is_no_damage() {
        for with in strange() {
            for head in [frame_at(1), frame_at(2)] {
                let written = log().one(1, 9).one(2, 2).part(3, 3).one(4, 4);
                let image = written.overwrite((0, head), &with).image();
                assert!(image.log_fault().is_none(), "{:?}", &with[..1]);
            }
            // The end of a first transaction that was not wholly written.
            let written = log().part(1, 9).part(2, 9).part(3, 9).one(4, 9);
            let image = written.overwrite((0, frame_at(2)), &with).image();
            assert!(image.log_fault().is_none(), "{:?}", &with[..1]);
        }
    }

    #[test]
    fn the_last_frame_of_the_newest_round_is_told_from_the_round_before_it() {
        let written = log().one(1, 9).one(2, 20).earlier(2, 98).earlier(3, 99);
        let image = written.overwrite((0, frame_at(1)), &[0]).image();
        assert_eq!(now(&image)[1..4], [Some(20), Some(3), Some(4)]);
        assert!(image.log_fault().is_some());
    }

    #[test]
    fn a_hole_in_the_middle_is_damage_where_something_began_behind_it() {
        for (with, header) in strange().iter().flat_map(|with| [(with, 0), (with, 31)]) {
            let written = log().one(1, 10).one(2, 20).part(3, 30).one(4, 40).one(3, 31).part(2, 21);
            let hole = (frame_at(1), frame_at(3));
            let mut written = written.one(1, 11).overwrite(hole, with);
            written.bytes[header] ^= u8::from(header > 0);
            let image = written.image();
            assert!(image.log_fault().is_some(), "{:?}", &with[..1]);
            assert_eq!(now(&image)[..4], [Some(11), Some(21), Some(31), Some(4)]);
            assert_eq!(image.loose().last().and_then(|page| page.last().copied()), Some(40));
        }
    }

    #[test]
    fn zeros_behind_what_was_committed_are_no_damage() {
        let mut written = log().one(1, 10).part(2, 20).one(3, 30);
        written.bytes.extend(vec![0; 3 * FRAME_BYTES]);
        let image = written.image();
        assert!(image.log_fault().is_none() && !image.is_broken());
        assert_eq!(now(&image)[..4], [Some(10), Some(20), Some(30), Some(4)]);
        assert_eq!(image.log_bytes(), 32 + 6 * 4120);
    }

    #[test]
    fn a_log_in_which_nothing_can_be_found_counts_as_none() {
        for with in strange() {
            let written = log().one(1, 10).one(2, 20).part(3, 30).one(4, 40);
            let all = (0, written.bytes.len());
            let image = written.overwrite(all, &with).image();
            assert!(image.log_bytes() == 0 || image.log_fault().is_some(), "{:?}", &with[..1]);
        }
        let mut zeros = log();
        zeros.bytes.extend(vec![0; 3 * FRAME_BYTES]);
        assert_eq!(zeros.image().log_bytes(), 0, "though its header is there");
    }

    #[test]
    fn the_first_frames_of_a_round_that_a_power_cut_tore_are_no_damage() {
        for with in strange() {
            let written = Written::new((8, 70), true).part(9, 9).one(9, 9).one(1, 1).one(2, 2);
            let mut torn = written.overwrite((WAL_HEADER_BYTES, frame_at(2)), &with);
            assert!(torn.image().log_fault().is_none(), "{:?}", &with[..1]);
            let end = torn.bytes.len();
            torn = torn.overwrite((frame_at(2) + 12, end), &[0]);
            assert!(torn.image().log_fault().is_none(), "{:?}", &with[..1]);
        }
    }

    #[test]
    fn the_header_of_the_round_before_hides_nothing_and_that_of_the_next_begins_anew() {
        let with = |salts| {
            let written = log().one(1, 10).part(2, 20).one(3, 30).earlier(2, 98).earlier(3, 99);
            written.overwrite((0, WAL_HEADER_BYTES), &Written::new(salts, true).bytes).image()
        };
        let older = with(ROUND_BEFORE);
        assert!(older.log_fault().is_some());
        assert_eq!(now(&older)[..4], [Some(10), Some(20), Some(30), Some(4)]);
        let anew = with((8, 70));
        assert!(anew.log_fault().is_none() && anew.log_bytes() > 0);
        assert_eq!(now(&anew)[..4], [Some(1), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn of_a_log_that_was_emptied_no_frame_stands_and_each_may_help_where_a_page_is_lost() {
        let mut emptied = log().one(2, 20).one(3, 30).earlier(4, 98);
        emptied.bytes[..WAL_HEADER_BYTES].copy_from_slice(&EMPTIED);
        let image = emptied.image();
        assert!(image.log_fault().is_none() && !image.is_broken());
        assert_eq!(now(&image)[..4], [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(fills(image.older(2)), [20]);
    }

    #[test]
    fn a_header_that_was_torn_when_all_had_been_moved_is_no_damage() {
        let moved = log().one(2, 2).one(3, 3).flip_header(20).image();
        assert!(moved.log_fault().is_none());
        let not_all = log().one(2, 2).one(3, 30).flip_header(20).image();
        assert!(not_all.log_fault().is_some());
        assert!(Written { bytes: vec![0; 20], ..log() }.image().log_fault().is_none());
        let zeros = Written { bytes: vec![0; 20_000], ..log() }.image();
        assert!(
            zeros.log_fault().is_none() && zeros.loose().count() == 0 && now(&zeros)[0] == Some(1)
        );
    }
}
