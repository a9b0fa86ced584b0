//! URLs and listen addresses: what may be spoken to, and what may be listened on.

use std::net::SocketAddr;

use url::{Host, Url};

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// A URL that may be used; the text itself stays what the person wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `http://`, so anybody on the network can read it.
    pub(super) plain: bool,
    /// The host is this machine.
    pub(super) loopback: bool,
}

/// Looks at a URL. Errors say what would be right and never repeat the text, which may hold a
/// password.
pub(super) fn url(text: &str) -> Result<Address, String> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("this is not a URL: write https://HOST/PATH".to_owned());
    }
    if authority(text).is_empty() {
        return Err("this URL has no host: write https://HOST/PATH".to_owned());
    }
    if text.len() > URL_BYTES_MAX
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\')
    {
        return Err(format!(
            "a URL has at most {URL_BYTES_MAX} bytes, no white space and no backslash"
        ));
    }
    let url = Url::parse(text)
        .map_err(|error| format!("this is not a URL ({error}): write https://HOST/PATH"))?;
    if authority(text).contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err("a URL holds no user and no password: take them out".to_owned());
    }
    if url.fragment().is_some() {
        return Err("a URL to call has no '#': take it and what follows out".to_owned());
    }
    Ok(Address {
        plain: url.scheme() == "http",
        loopback: url.host().is_some_and(|host| is_loopback(&host)),
    })
}

/// Whether both URLs lead to the same place: scheme, host and port.
pub(super) fn is_same_place(one: &str, other: &str) -> bool {
    let place = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    place(one).is_some_and(|one| Some(one) == place(other))
}

/// Refuses plain http beyond loopback; `way_out` says which setting would allow it, if one does.
pub(super) fn safe_url(
    text: &str,
    allow_plain_http: bool,
    way_out: &str,
) -> Result<Address, String> {
    let address = url(text)?;
    if address.plain && !address.loopback && !allow_plain_http {
        return Err(format!("plain http is refused beyond loopback: write https://{way_out}"));
    }
    Ok(address)
}

/// Looks at a proxy's address, `http://HOST:PORT`.
pub(super) fn proxy(text: &str) -> Result<(), String> {
    let right = || "write http://HOST:PORT and nothing else".to_owned();
    url(text)?;
    let rest = text.strip_prefix("http://").ok_or_else(right)?;
    let authority = authority(text);
    let only = rest == authority || rest.strip_suffix('/') == Some(authority);
    let port = authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok())
        .filter(|port| *port > 0);
    if only && port.is_some() { Ok(()) } else { Err(right()) }
}

/// Looks at an address to listen on.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        format!(
            "{} is no address to listen on: write ADDRESS:PORT, such as \"127.0.0.1:7733\" \
             or \"[::1]:7733\"",
            super::value::quoted(text)
        )
    };
    text.parse().map_err(|_| wrong())
}

/// Whether only this machine reaches `address`.
pub(super) fn only_here(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_alone() {
        for here in [
            "http://127.0.0.1:1/x",
            "http://127.9.9.9",
            "http://[::1]/",
            "http://localhost:80",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(url(here), Ok(Address { plain: true, loopback: true }), "{here}");
        }
        for there in [
            "http://10.0.0.1/",
            "http://localhost.example/",
            "http://[::2]/",
            "http://127.0.0.1.example/",
        ] {
            assert_eq!(url(there), Ok(Address { plain: true, loopback: false }), "{there}");
        }
    }

    #[test]
    fn what_is_no_plain_url_is_refused_without_being_repeated() {
        let wrong = [
            "",
            "pear",
            "ftp://pear/",
            "https://",
            "https:///pear",
            "HTTPS://pear",
            "https://user:pear@host/",
            "https://@pear/",
            "https://host/#pear",
            "https://ho st/pear",
            "https://host:99999/pear",
            "https://pear\\x",
            "https://host/pear\n",
            "https://[pear]/",
        ];
        for text in wrong {
            let message = url(text).expect_err(text);
            assert!(!message.contains("pear"), "{text}: {message}");
        }
    }

    #[test]
    fn a_proxy_is_a_host_and_a_port_alone() {
        for right in ["http://proxy:3128", "http://10.1.1.1:80/", "http://[::1]:8080"] {
            assert_eq!(proxy(right), Ok(()), "{right}");
        }
        for wrong in [
            "https://proxy:3128",
            "http://proxy",
            "http://proxy:0",
            "http://proxy:1/x",
            "http://u:p@proxy:1",
            "http://[::1]",
        ] {
            assert!(proxy(wrong).is_err(), "{wrong}");
        }
    }
}
