//! How far an attempt came that has no answer: told by the errors' own types, not by their words.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::resolve::ResolveError;
use crate::verdict::{Failure, Phase};

/// What is known of the attempt beside its error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// Host and port of the URL.
    pub(super) host: &'a str,
    /// Host and port of the proxy between.
    pub(super) proxy: Option<&'a str>,
    /// The URL is https.
    pub(super) encrypted: bool,
    /// The body was handed to a connection.
    pub(super) handed_over: bool,
    /// Somebody synchronised our clock.
    pub(super) clock_trusted: bool,
}

/// The failure that `error` tells of.
pub(super) fn of_error(error: &reqwest::Error, known: Known<'_>) -> Failure {
    let causes = Causes::of(error);
    let phase = if error.is_connect() { causes.connect_phase(known) } else { Phase::Answer };
    Failure {
        phase,
        detail: detail(phase, &causes, known),
        bytes_may_have_left: known.handed_over && phase == Phase::Answer,
        deadline: error.is_timeout(),
    }
}

fn detail(phase: Phase, causes: &Causes<'_>, known: Known<'_>) -> String {
    let Known { host, proxy, .. } = known;
    let why = &causes.innermost;
    match (phase, proxy) {
        (Phase::Resolve, _) => causes.resolve.map_or_else(|| why.clone(), ToString::to_string),
        (Phase::Connect, Some(proxy)) => format!("cannot reach {host} through the proxy {proxy}: {why}"),
        (Phase::Connect, None) => format!("cannot connect to {host}: {why}"),
        (Phase::Clock, _) => format!("TLS with {host}: {why}; but this box's own clock is not synchronised"),
        (Phase::Tls, _) => format!("TLS with {host}: {why}"),
        (Phase::Write | Phase::Answer | Phase::Credential | Phase::Proxy, _) => {
            format!("no whole answer from {host}: {why}")
        }
    }
}

/// What an error's chain holds.
struct Causes<'a> {
    resolve: Option<&'a ResolveError>,
    tls: Option<&'a rustls::Error>,
    io: Option<io::ErrorKind>,
    innermost: String,
}

impl<'a> Causes<'a> {
    fn of(error: &'a reqwest::Error) -> Self {
        let mut causes = Self { resolve: None, tls: None, io: None, innermost: String::new() };
        let mut next = error.source();
        while let Some(cause) = next {
            causes.resolve = causes.resolve.or(cause.downcast_ref());
            causes.tls = causes.tls.or(cause.downcast_ref());
            causes.innermost = cause.to_string();
            next = match cause.downcast_ref::<io::Error>() {
                Some(io) => {
                    causes.io = Some(io.kind());
                    // `source` of an I/O error skips the error that it was made of.
                    io.get_ref().map(|inner| inner as &(dyn Error + 'static))
                }
                None => cause.source(),
            };
        }
        causes
    }

    fn connect_phase(&self, known: Known<'_>) -> Phase {
        match self.tls {
            _ if self.resolve.is_some() => Phase::Resolve,
            Some(tls) if !known.clock_trusted && is_about_dates(tls) => Phase::Clock,
            Some(_) => Phase::Tls,
            None if known.encrypted && known.proxy.is_none() && self.ended_after_connect() => Phase::Tls,
            None => Phase::Connect,
        }
    }

    /// A connection that was made and then ended: none of these comes of a connect itself.
    fn ended_after_connect(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof};
        self.io.is_some_and(|kind| {
            [BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, UnexpectedEof].contains(&kind)
        })
    }
}

fn is_about_dates(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(fault) = error else { return false };
    matches!(fault, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}
