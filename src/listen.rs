//! Connections: accept, bound, time out, TLS; what both listeners stand on.
