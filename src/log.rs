//! Where log lines go: the journal with its fields, else standard error.
