//! Start order, signals, ordered shutdown.
