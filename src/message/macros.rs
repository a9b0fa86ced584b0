//! A topic's messages, each written once: its code, its parameters and its two texts stand
//! together, and the compiler refuses one without the other. Words without a text likewise.

/// Declares an enum of messages with its code in `snake_case`, the parameters, the English and the
/// Arabic text.
macro_rules! messages {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(
                $(#[$doc:meta])*
                $variant:ident $({ $( $(#[$of:meta])* $field:ident: $type:ty ),+ $(,)? })?
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
                $variant $({ $( $(#[$of])* $field: $type ),+ })?,
            )+
        }

        impl $name {
            /// Every message as this table writes it: its name, and its parameters with their
            /// types.
            #[allow(dead_code, reason = "not every topic's table is read")]
            pub(in crate::message) const TABLE: &[(&'static str, &[(&'static str, &'static str)])] =
                &[ $( (
                    stringify!($variant),
                    &[ $( $( (stringify!($field), stringify!($type)) ),+ )? ],
                ), )+ ];

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
                }
            }

            #[allow(unused_variables, reason = "a text may leave out a parameter that the other \
                says")]
            fn arabic(&self) -> String {
                match self {
                    $( Self::$variant $({ $($field),+ })? => String::from($arabic), )+
                }
            }

            /// One of each, with a parameter that is easily found again.
            #[cfg(test)]
            pub(in crate::message) fn all() -> Vec<Self> {
                use $crate::message::sample::Sample;
                vec![ $( Self::$variant $({ $($field: Sample::sample()),+ })?, )+ ]
            }
        }
    };
}

/// Declares an enum whose variants have a word each, for metrics, the API and the database.
macro_rules! worded {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $( $(#[$doc:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$about])*
        pub enum $name {
            $( $(#[$doc])* $variant, )+
        }

        impl $name {
            /// Every one, in the order in which they are shown.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word in metrics, the API and the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }
    };
}

pub(super) use {messages, worded};
