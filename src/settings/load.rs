//! All of it in order: files, environment, checks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::caution;
use super::common::Machine;
use super::environment;
use super::layer::{self, Layer};
use super::problem::{Faults, NamedSecret, Problems};
use super::sections;
use super::source::{self, SettingsFile};
use super::types::Settings;

/// The settings file, unless the command line names another.
pub const DEFAULT_FILE: &str = "/etc/redeemd/redeemd.toml";

/// Where settings come from.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The settings file; `conf.d` is looked for beside it.
    pub file: PathBuf,
    /// The environment: `REDEEMD__…`, and `STATE_DIRECTORY`, `RUNTIME_DIRECTORY`,
    /// `CREDENTIALS_DIRECTORY` of systemd.
    pub environment: BTreeMap<String, String>,
    /// The default of `gateway.name`.
    pub host_name: String,
}

impl LoadOptions {
    /// `file`, or the usual one, with this process's environment. What is not UTF-8 there is read
    /// with replacement characters, so that a setting of ours is still found and refused.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, host_name: String) -> Self {
        let file = file.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment =
            std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self { file, environment, host_name }
    }
}

/// Settings that passed every check.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What is allowed but should be known, one line each, beginning with the key.
    pub warnings: Vec<String>,
    /// What this process cannot know though the service may, one line each: credentials, outside of
    /// the service.
    pub notes: Vec<String>,
    /// Every secret that the settings name.
    pub secrets: Vec<NamedSecret>,
    /// `[offline]` and its rules as files and environment give them, as TOML; what nobody set is
    /// not there.
    pub offline: String,
    /// `$CREDENTIALS_DIRECTORY`, for [`SecretSource::read`](super::SecretSource::read).
    pub credentials_dir: Option<PathBuf>,
}

/// Reads, merges and checks everything. Blocks on the file system.
///
/// # Errors
/// All problems at once, in the order of files, environment, checks. A file that cannot be read or
/// is no TOML keeps the checks from being made, because what it would have said is not known.
pub fn load(options: &LoadOptions) -> Result<Loaded, Problems> {
    let mut faults = Faults::default();
    match all(options, &mut faults) {
        Some(layer) => checked(&layer, options, faults),
        None => Err(Problems(faults.problems)),
    }
}

/// Where settings have the commands' socket, whatever else is wrong with them: a daemon goes on
/// with the good ones that it has while somebody mends the file. `None`: what they say of it
/// cannot be read. Blocks on the file system.
#[must_use]
pub fn commands_socket(options: &LoadOptions) -> Option<PathBuf> {
    let mut faults = Faults::default();
    let layer = all(options, &mut faults)?;
    let around = Machine { environment: &options.environment, host_name: &options.host_name };
    sections::socket(&layer, &around)
}

/// Files and environment; `None` where a file cannot be read or is no TOML.
fn all(options: &LoadOptions, faults: &mut Faults) -> Option<Layer> {
    let sources = source::read_all(&options.file, faults);
    let is_complete = faults.problems.is_empty();
    let mut files = merged(sources, faults);
    let variables = environment::layer(&options.environment, &files, faults);
    files.merge(variables);
    is_complete.then_some(files)
}

/// The settings that `text` alone gives, as a file of its own would; relative paths begin at `/`.
///
/// # Errors
/// All problems at once.
pub fn parse(text: &str, host_name: &str) -> Result<Loaded, Problems> {
    let mut faults = Faults::default();
    let environment = BTreeMap::new();
    let options =
        LoadOptions { file: PathBuf::new(), environment, host_name: host_name.to_owned() };
    let table = source::table(text).map_err(|message| {
        faults.add("", message, None);
        Problems(std::mem::take(&mut faults.problems))
    })?;
    let source =
        SettingsFile { origin: "the given text".to_owned(), folder: PathBuf::from("/"), table };
    let files = merged(vec![source], &mut faults);
    checked(&files, &options, faults)
}

fn merged(sources: Vec<SettingsFile>, faults: &mut Faults) -> Layer {
    let mut all = Layer::default();
    for source in sources {
        all.merge(layer::of_source(source, faults));
    }
    all
}

fn checked(files: &Layer, options: &LoadOptions, mut faults: Faults) -> Result<Loaded, Problems> {
    let around = Machine { environment: &options.environment, host_name: &options.host_name };
    let settings = sections::settings(files, &around, &mut faults);
    if !faults.problems.is_empty() {
        return Err(Problems(faults.problems));
    }
    let credentials_dir = around.folder("CREDENTIALS_DIRECTORY");
    caution::look(&settings, credentials_dir.as_deref(), &mut faults);
    if !faults.problems.is_empty() {
        return Err(Problems(faults.problems));
    }
    let offline = files.offline_as_written();
    let Faults { warnings, notes, secrets, .. } = faults;
    Ok(Loaded { settings, warnings, notes, secrets, offline, credentials_dir })
}
