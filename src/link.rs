//! Pure: a lane's state machine: backoff, rotating probes, spread, slow start.
