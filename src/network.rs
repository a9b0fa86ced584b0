//! What the kernel says of links, addresses and routes.
