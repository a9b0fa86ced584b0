//! systemd: ready, status, watchdog, reload, credentials, sockets.
