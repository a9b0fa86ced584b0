//! The contract's error webhook: three failed deliveries in a row, and recovery.
