//! Plays an outage with a sandbox provider and ends with the books.
