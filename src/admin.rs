//! The operators' HTTP: status, lists, actions, metrics.
