//! How far an attempt without an answer came. The types of the errors tell it, not their words.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::answer::BrokenAnswer;
use super::progress::Course;
use super::resolve::ResolveError;
use crate::verdict::{Failure, Phase};

/// What is known of the attempt beside its error.
#[derive(Clone, Copy)]
pub(super) struct AttemptFacts<'a> {
    /// Host and port of the URL.
    pub(super) host: &'a str,
    /// Host and port of the proxy between.
    pub(super) proxy: Option<&'a str>,
    /// The URL is https.
    pub(super) encrypted: bool,
    /// How far it came.
    pub(super) course: &'a Course,
    /// Somebody synchronised our clock.
    pub(super) clock_trusted: bool,
}

/// The failure that `broken` tells of.
pub(super) fn of_broken(broken: &BrokenAnswer, known: AttemptFacts<'_>) -> Failure {
    let causes = ErrorCauses::of(broken);
    let phase = match broken {
        BrokenAnswer::Proxy => Phase::Proxy,
        BrokenAnswer::Http(error) if error.is_connect() => causes.connect_phase(known),
        BrokenAnswer::Http(_) | BrokenAnswer::Stream => Phase::Answer,
    };
    let deadline = matches!(broken, BrokenAnswer::Http(error) if error.is_timeout());
    Failure {
        phase,
        detail: detail(phase, &causes, known),
        // A proxy that asks for a password has read the plain http request. Only it knows whether
        // it passed it on.
        bytes_may_have_left: known.course.is_handed()
            && matches!(phase, Phase::Answer | Phase::Proxy),
        deadline,
        sent_whole: known.course.sent().is_whole() && phase == Phase::Answer,
        not_http: causes.not_http && phase == Phase::Answer,
    }
}

fn detail(phase: Phase, causes: &ErrorCauses<'_>, known: AttemptFacts<'_>) -> String {
    let AttemptFacts { host, proxy, course, .. } = known;
    let why = &causes.innermost;
    match (phase, proxy) {
        (Phase::Resolve, _) => causes.resolve.map_or_else(|| why.clone(), ToString::to_string),
        (Phase::Proxy, Some(proxy)) => format!("the proxy {proxy} does not lead to {host}: {why}"),
        (Phase::Connect, Some(proxy)) => {
            format!("cannot reach {host} through the proxy {proxy}: {why}")
        }
        (Phase::Connect | Phase::Proxy, None) => format!("cannot connect to {host}: {why}"),
        (Phase::Clock, _) => {
            format!("TLS with {host}: {why}; but this box's own clock is not synchronised")
        }
        (Phase::Tls, _) => format!("TLS with {host}: {why}"),
        (Phase::Answer, _) if causes.not_http => {
            format!("what {host} answers is no HTTP that can be read: {why}")
        }
        (Phase::Write | Phase::Answer | Phase::Credential, _) if course.is_answering() => {
            format!("the answer from {host} was cut: {why}")
        }
        (Phase::Write | Phase::Answer | Phase::Credential, _) => {
            format!("no whole answer from {host}: {why}")
        }
    }
}

/// What an error's chain holds.
struct ErrorCauses<'a> {
    resolve: Option<&'a ResolveError>,
    tls: Option<&'a rustls::Error>,
    io: Option<io::ErrorKind>,
    /// The head of what came is none of an answer.
    not_http: bool,
    innermost: String,
}

impl<'a> ErrorCauses<'a> {
    fn of(broken: &'a BrokenAnswer) -> Self {
        let innermost = broken.to_string();
        let mut causes = Self { resolve: None, tls: None, io: None, not_http: false, innermost };
        let mut next = match broken {
            // Its own words name the URL.
            BrokenAnswer::Http(error) => error.source(),
            BrokenAnswer::Proxy | BrokenAnswer::Stream => None,
        };
        while let Some(cause) = next {
            causes.resolve = causes.resolve.or(cause.downcast_ref());
            causes.tls = causes.tls.or(cause.downcast_ref());
            causes.not_http |=
                cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
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

    fn connect_phase(&self, known: AttemptFacts<'_>) -> Phase {
        match self.tls {
            _ if self.resolve.is_some() => Phase::Resolve,
            Some(tls) if !known.clock_trusted && is_about_dates(tls) => Phase::Clock,
            Some(_) => Phase::Tls,
            None if !known.encrypted => Phase::Connect,
            None if known.proxy.is_some() => self.proxied_phase(),
            None if self.was_reset() || self.ended() => Phase::Tls,
            None => Phase::Connect,
        }
    }

    /// A proxy that refuses CONNECT has no error type of its own, and neither has one that hangs
    /// up.
    fn proxied_phase(&self) -> Phase {
        match self.io {
            None => Phase::Proxy,
            Some(_) if self.was_reset() => Phase::Proxy,
            Some(_) if self.ended() => Phase::Tls,
            Some(_) => Phase::Connect,
        }
    }

    /// A connection that was made and then broken. A connect alone does not fail so.
    fn was_reset(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        self.io.is_some_and(|kind| [BrokenPipe, ConnectionAborted, ConnectionReset].contains(&kind))
    }

    /// The peer ended the connection, or sent nonsense, during the handshake.
    fn ended(&self) -> bool {
        self.io.is_some_and(|kind| {
            [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof].contains(&kind)
        })
    }
}

fn is_about_dates(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(fault) = error else { return false };
    matches!(fault, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}
