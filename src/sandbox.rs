//! A provider to test against: the contract, and every fault on demand.
