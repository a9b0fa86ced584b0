//! The lanes: claim, send, settle, wait.
