//! The tills' HTTP.
