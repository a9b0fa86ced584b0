//! What the shim recorded, in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file, by the number that the shim gave it.
pub(crate) type File = u64;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Create(String, File),
    Write(File, u64, Vec<u8>),
    Cut(File, u64),
    Sync(File),
    SyncNames,
    Rename(String, String),
    Remove(String),
    /// What the workload was told or is about to do.
    Said(String),
}

pub(crate) struct Tape {
    pub(crate) events: Vec<Event>,
    /// Files that still are where the recorded process left them: the database knows its own inode.
    pub(crate) living: BTreeMap<File, PathBuf>,
}

struct Record<'a> {
    what: u8,
    file: File,
    offset: u64,
    name: &'a str,
    data: &'a [u8],
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn next<'a>(tape: &mut &'a [u8]) -> Option<Record<'a>> {
    let (head, rest) = tape.split_at_checked(27)?;
    let (name, rest) = rest.split_at(usize::try_from(number(&head[17..19])).unwrap());
    let (data, rest) = rest.split_at(usize::try_from(number(&head[19..27])).unwrap());
    *tape = rest;
    let name = std::str::from_utf8(name).unwrap();
    Some(Record {
        what: head[0],
        file: number(&head[1..9]),
        offset: number(&head[9..17]),
        name,
        data,
    })
}

/// The file's name in the state directory; `None`: it lies elsewhere.
fn local(path: &str) -> Option<String> {
    path.rsplit_once("/state/").map(|(_, name)| name.to_owned())
}

impl Tape {
    pub(crate) fn read(log: &Path, world: &Path) -> Self {
        let bytes = std::fs::read(log).unwrap();
        let (mut rest, mut events, mut said) = (&bytes[..], Vec::new(), 0);
        let (mut names, mut ignored) = (BTreeMap::new(), Vec::new());
        while let Some(Record { what, file, offset, name, data }) = next(&mut rest) {
            match what {
                b'C' if name.ends_with("/said") => said = file,
                // The log's index is made anew at every start.
                b'C' if name.ends_with("-shm") => ignored.push(file),
                b'C' => {
                    let name = local(name).expect("a file of the state directory");
                    names.insert(name.clone(), file);
                    events.push(Event::Create(name, file));
                }
                b'W' if file == said => {
                    events.push(Event::Said(String::from_utf8(data.to_vec()).unwrap()));
                }
                b'W' | b'T' | b'S' if ignored.contains(&file) => {}
                b'W' => events.push(Event::Write(file, offset, data.to_vec())),
                b'T' => events.push(Event::Cut(file, offset)),
                b'S' => events.push(Event::Sync(file)),
                b'D' if name.ends_with("/state") => events.push(Event::SyncNames),
                // The one above it, which is not cut off here.
                b'D' => {}
                b'R' => {
                    let to = local(std::str::from_utf8(data).unwrap()).unwrap();
                    let from = local(name).unwrap();
                    if let Some(file) = names.remove(&from) {
                        names.insert(to.clone(), file);
                        events.push(Event::Rename(from, to));
                    }
                }
                b'U' => {
                    let name = local(name).unwrap();
                    if names.remove(&name).is_some() {
                        events.push(Event::Remove(name));
                    }
                }
                other => panic!("the tape has a record {other}"),
            }
        }
        assert!(said != 0 && rest.is_empty(), "the tape is torn");
        let living =
            names.into_iter().map(|(name, file)| (file, world.join("state").join(name))).collect();
        Self { events, living }
    }
}
