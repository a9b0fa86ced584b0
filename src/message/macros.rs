//! A topic's messages, each written once: its code, its parameters and its two texts stand
//! together, and the compiler refuses one without the other. Words without a text likewise.

/// What a parameter of this name is, in every message that has it.
#[rustfmt::skip]
macro_rules! meaning {
    (action) => { "What was done: `retry`, `void` or `handled`." };
    (address) => { "From where." };
    (after_s) => { "Come again after so many seconds." };
    (allowed) => { "The methods that the path takes." };
    (amount) => { "An amount in the store's money." };
    (attempt) => { "Which attempt, from 1." };
    (books) => { "What the books say." };
    (byte) => { "The first byte that does not fit, from 0." };
    (bytes_max) => { "The most bytes." };
    (cause) => { "Why it is not up." };
    (characters) => { "The most characters." };
    (chars_max) => { "The most characters." };
    (choices) => { "What the field can be." };
    (code) => { "The code: whole to the till that sent it, else masked." };
    (codes) => { "How many codes." };
    (column) => { "The column, from 1." };
    (error) => { "Why it failed, in the system's own words." };
    (faults) => { "Everything that is wrong, each with the name of its field." };
    (field) => { "The field's name, as the contract spells it." };
    (for_s) => { "For so many seconds; zero: until somebody ends it." };
    (from) => { "The least number; of an import, the name of the gateway that it comes from." };
    (hourly) => { "At most so many an hour and till." };
    (how) => { "How the storage stood." };
    (id) => { "A redemption's id." };
    (kept) => { "Redemptions kept." };
    (key) => { "The field's name." };
    (keys) => { "The settings' keys, separated by commas." };
    (kind) => { "What it is, as \"a string\"." };
    (known) => { "Those that there are, separated by commas." };
    (lane) => { "The lane's name." };
    (lanes) => { "The lanes that there are, separated by commas." };
    (levels) => { "The most levels." };
    (limit) => { "The limit, or its key." };
    (line) => { "The line, from 1." };
    (lost) => { "Redemptions lost; nothing where the books do not tell." };
    (mended) => { "Of the kept ones, those with a flipped bit put right." };
    (most) => { "The most that there may be." };
    (name) => { "Who asked." };
    (needed) => { "Bytes that have to be freed." };
    (note) => { "What was noted." };
    (number) => { "The job's number." };
    (other) => { "The field's other spelling." };
    (outage_s) => { "So many seconds without the line may pass." };
    (parked) => { "Of the kept ones, those parked for a person." };
    (pending) => { "Of the kept ones, those pending." };
    (percent) => { "How much of a limit is used: 80 or 100." };
    (redemptions) => { "How many redemptions." };
    (refused) => { "So many codes were refused." };
    (remove) => { "The file to remove once it is dealt with." };
    (rewards) => { "At most so many rewards." };
    (restored) => { "Of the kept ones, those made of their body; nothing in an earlier version." };
    (role) => { "The role that it takes: see, decide or engineer." };
    (rows) => { "What the rows say." };
    (rule) => { "The rule's name, or `offline`." };
    (said) => { "The provider's words; of an earlier answer, with the code masked." };
    (saved) => { "Where what the database held is saved." };
    (set_aside) => { "Where the old files are now." };
    (since) => { "The field that says where a range begins." };
    (state) => { "Where a redemption stands or stood." };
    (status) => { "The provider's HTTP status." };
    (till) => { "The till's name." };
    (to) => { "The greatest number." };
    (until) => { "The field that says where a range ends." };
    (used) => { "What is used of a limit." };
    (verdict) => { "How an attempt ended: confirmed, declined, parked, or no verdict." };
    (waiting) => { "So many redemptions may wait." };
    (wanted) => { "The content type that is right." };
    (when) => { "The earlier till's own time, as on its receipt." };
    (why) => { "The reason, in the words of whoever found it." };
    (within_s) => { "Within so many seconds." };
}

/// Declares an enum of messages with its code in `snake_case`, the parameters, the English and the
/// Arabic text; and `Text`, which holds other words than the table's.
macro_rules! messages {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident $({ $( $field:ident: $type:ty ),+ $(,)? })?
                en: $english:expr,
                ar: $arabic:expr;
            )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "m", rename_all = "snake_case")]
        pub enum $name {
            $(
                $(#[$doc])*
                $variant $({
                    $( #[doc = $crate::message::macros::meaning!($field)] $field: $type ),+
                })?,
            )+
            /// Other words: a person's, the system's, or a sentence of an earlier version.
            Text {
                /// As they were.
                text: String,
            },
        }

        impl $name {
            /// Every message as this table writes it: its name, and its parameters with their
            /// types.
            #[allow(dead_code, reason = "not every topic's table is read")]
            pub(in crate::message) const TABLE: &[(&'static str, &[(&'static str, &'static str)])] =
                &[ $( (
                    stringify!($variant),
                    &[ $( $( (stringify!($field), stringify!($type)) ),+ )? ],
                ), )+ ("Text", &[("text", "String")]) ];

            /// What people read.
            #[must_use]
            pub fn text(&self, language: $crate::message::Language) -> String {
                match language {
                    $crate::message::Language::English => self.english(),
                    $crate::message::Language::Arabic => self.arabic(),
                }
            }

            /// As it is stored: its code and its parameters in one line of JSON.
            #[must_use]
            pub fn to_stored(&self) -> String {
                // Strings, numbers and lists of them always serialise.
                serde_json::to_string(self).unwrap_or_default()
            }

            /// What was stored; what is no message of this topic comes back as `Text`.
            #[must_use]
            pub fn from_stored(stored: &str) -> Self {
                serde_json::from_str(stored)
                    .unwrap_or_else(|_| Self::Text { text: stored.to_owned() })
            }

            #[allow(unused_variables, reason = "a text may leave out a parameter that the other \
                says")]
            fn english(&self) -> String {
                match self {
                    $( Self::$variant $({ $($field),+ })? => String::from($english), )+
                    Self::Text { text } => text.clone(),
                }
            }

            #[allow(unused_variables, reason = "a text may leave out a parameter that the other \
                says")]
            fn arabic(&self) -> String {
                match self {
                    $( Self::$variant $({ $($field),+ })? => String::from($arabic), )+
                    Self::Text { text } => $crate::message::words::iso(text),
                }
            }

            /// One of each, with a parameter that is easily found again.
            #[cfg(test)]
            pub(in crate::message) fn all() -> Vec<Self> {
                use $crate::message::sample::Sample;
                vec![
                    $( Self::$variant $({ $($field: Sample::sample()),+ })?, )+
                    Self::Text { text: Sample::sample() },
                ]
            }
        }
    };
}

/// Declares an enum whose variants have a word each, for metrics, the API and the database.
macro_rules! worded {
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$doc:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$about])*
        $vis enum $name {
            $( $(#[$doc])* $variant, )+
        }

        impl $name {
            /// Every one, in the order in which they are shown.
            $vis const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word in metrics, the API and the database.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }
    };
}

pub(crate) use worded;
pub(super) use {meaning, messages};
