//! The settings: the file, `conf.d`, the environment, their defaults and checks.
//!
//! | room | its one purpose |
//! | --- | --- |
//! | [`keys`] | every key with its kind, default and meaning |
//! | `types` | what the other rooms read |
//! | `secret` | where a secret is read from, and reading it |
//! | `codes` | which reward codes are reusable |
//! | `problem` | what is wrong, gathered until everything has been looked at |
//! | `value` | one value, of exactly its key's kind |
//! | `source` | a file's text as a tree |
//! | `layer` | one source's settings, each at its key; one layer over another |
//! | `environment` | the layer of `REDEEMD__…` variables |
//! | `address` | URLs and listen addresses |
//! | `reader` | a section's values, bounded, with their defaults |
//! | `sections`, `provider`, `admin`, `rules` | the checks, section by section |
//! | `rule_index` | which few of the rules can be for a request |
//! | `paths` | the files that settings name |
//! | `caution` | what is allowed but should be known |
//! | `load` | all of it in order |
//! | `restart` | which changes a reload cannot apply, and what holds until the restart |

mod address;
mod admin;
mod caution;
mod codes;
mod common;
mod environment;
pub mod keys;
mod layer;
mod load;
mod paths;
mod problem;
mod provider;
mod reader;
mod restart;
mod rule_index;
mod rules;
mod secret;
mod sections;
mod source;
mod types;
mod value;

pub use admin::host_as_sent;
pub use keys::{KEYS, Key, Kind};
pub use load::{DEFAULT_FILE, LoadOptions, Loaded, commands_socket, load, parse};
pub use paths::of as files_of;
pub use problem::{NamedSecret, Problems, SettingsProblem};
pub use restart::{needs_restart, until_restart};
pub use rule_index::RuleKeys;
pub use rules::{AMOUNT_MAX, listed};
pub use secret::{SECRET_BYTES_MAX, SecretError};
pub use types::{
    AdminSettings, AdminToken, AdminUser, Alert, Alphabet, Auth, Caps, CheckDigit, CodeForm,
    DateFormat, Forward, Gateway, Grant, Hours, IntakeSettings, OAuth, Offline, OneTill, Provider,
    ProxyLogin, RetentionSettings, Role, Rule, RuleList, SameCode, SecretSource, Settings,
    SuccessSetting, Till, TimeOfDay, Tls, UnknownCheck,
};
