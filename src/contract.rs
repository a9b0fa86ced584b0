//! The wire: parse a till's request, shape an answer or a refusal.
