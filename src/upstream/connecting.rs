//! Wraps what makes a pool's connections: the POST for which one is made knows until when.

use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::progress::Course;

/// Wraps a connector.
#[derive(Clone, Copy)]
pub(super) struct NotesConnects;

/// A connector whose connects are noted: name, address, proxy and handshake.
#[derive(Clone)]
pub(super) struct NotedConnector<C>(C);

impl<C> Layer<C> for NotesConnects {
    type Service = NotedConnector<C>;

    fn layer(&self, connector: C) -> NotedConnector<C> {
        NotedConnector(connector)
    }
}

impl<C, T> Service<T> for NotedConnector<C>
where
    C: Service<T>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let connecting = Course::current().map(|course| course.connecting());
        let connect = self.0.call(target);
        Box::pin(async move {
            let connected = connect.await;
            drop(connecting);
            connected
        })
    }
}
