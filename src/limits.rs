//! Pure: may this be accepted offline?
